"""oodbench: which optimizer should I train with, if the test distribution will differ?

The public names are those of ``oodbench.api``; each loads what it needs when it is first used, and
importing oodbench loads neither torch nor pandas.
"""

from oodbench.api import __all__ as __all__
from oodbench.api import __dir__ as __dir__
from oodbench.api import __getattr__ as __getattr__

__version__ = "0.1.0"
