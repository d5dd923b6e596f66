"""oodbench: which optimizer should I train with, if the test distribution will differ?

The public names (in ``__init__.pyi``) load what they need when they are first used; importing
oodbench loads neither torch nor pandas.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
