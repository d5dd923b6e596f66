"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Importing this package loads neither torch nor matplotlib.

``oodbench.analysis`` is the same package, under a name that no file of yours can hide.
"""

import lazy_loader

if __name__ == "analysis":
    from oodbench.siblings import SecondName

    SecondName("analysis").install()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
