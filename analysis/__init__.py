"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Importing this package loads neither torch nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.confirmation import confirmation_table
    from analysis.plots.box import box
    from analysis.plots.save import save
    from analysis.plots.scatter import scatter
    from analysis.summary import summary_markdown
    from analysis.tables import optimizer_table

_HOMES = {
    "box": "analysis.plots.box",
    "confirmation_table": "analysis.confirmation",
    "optimizer_table": "analysis.tables",
    "save": "analysis.plots.save",
    "scatter": "analysis.plots.scatter",
    "summary_markdown": "analysis.summary",
}

__all__ = ["box", "confirmation_table", "optimizer_table", "save", "scatter", "summary_markdown"]


def __getattr__(name: str) -> Any:  # the drawing libraries load when a figure is asked for
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
