"""The verbs of the command line as Python functions; they return pandas DataFrames.

``api.pyi`` lists them, and where each is written; a name loads what it needs when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub("oodbench", __file__)
