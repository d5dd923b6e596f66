"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Of a run that is tested on several targets every function makes a row
for each of them first (``oodbench.results.targets.by_target``): a target is a panel of its own.
Importing this package loads neither torch nor matplotlib.

``oodbench.analysis`` is the same package, under a name that no file of yours can hide.
"""

from functools import wraps
from inspect import isfunction, signature
from typing import Any

import lazy_loader

if __name__ == "analysis":
    from oodbench.siblings import SecondName

    SecondName("analysis").install()

_get, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    found = _get(name)
    if not isfunction(found) or next(iter(signature(found).parameters), "") != "pairs":
        return found

    @wraps(found)
    def of_targets(pairs: Any, *args: Any, **options: Any) -> Any:
        from oodbench.results.targets import by_target

        return found(by_target(pairs), *args, **options)

    of_targets.__module__ = __name__  # where pickle finds this function, and not the one inside
    globals()[name] = of_targets
    return of_targets
