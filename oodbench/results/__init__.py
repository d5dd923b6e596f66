"""The results database: queue, store and queries. Also here, apart: ``select.select``.

``__init__.pyi`` lists the names; each loads what it needs when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
