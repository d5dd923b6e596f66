"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Importing this package loads neither torch nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.conclusions import Conclusions, conclude
    from analysis.confirmation import confirmation_table
    from analysis.curves import return_curves, return_table
    from analysis.domainbed import domainbed_candidates, read_domainbed
    from analysis.domainbed_tables import domainbed_averages, domainbed_table, domainbed_text
    from analysis.fitting import ReturnCurve, fit_return_curve
    from analysis.plots.binned import binned
    from analysis.plots.box import box
    from analysis.plots.learning import learning
    from analysis.plots.returns import returns
    from analysis.plots.save import save
    from analysis.plots.scatter import scatter
    from analysis.plots.slices import slices
    from analysis.plots.violin import violin
    from analysis.shift import measure_shift
    from analysis.shift_classes import shift_class, shift_table
    from analysis.summary import summary_markdown
    from analysis.tables import optimizer_table
    from analysis.wording import conclusions_text

_HOMES = {
    "Conclusions": "analysis.conclusions",
    "ReturnCurve": "analysis.fitting",
    "binned": "analysis.plots.binned",
    "box": "analysis.plots.box",
    "conclude": "analysis.conclusions",
    "conclusions_text": "analysis.wording",
    "confirmation_table": "analysis.confirmation",
    "domainbed_averages": "analysis.domainbed_tables",
    "domainbed_candidates": "analysis.domainbed",
    "domainbed_table": "analysis.domainbed_tables",
    "domainbed_text": "analysis.domainbed_tables",
    "fit_return_curve": "analysis.fitting",
    "learning": "analysis.plots.learning",
    "measure_shift": "analysis.shift",
    "optimizer_table": "analysis.tables",
    "read_domainbed": "analysis.domainbed",
    "return_curves": "analysis.curves",
    "return_table": "analysis.curves",
    "returns": "analysis.plots.returns",
    "save": "analysis.plots.save",
    "scatter": "analysis.plots.scatter",
    "slices": "analysis.plots.slices",
    "shift_class": "analysis.shift_classes",
    "shift_table": "analysis.shift_classes",
    "summary_markdown": "analysis.summary",
    "violin": "analysis.plots.violin",
}

__all__ = [
    "Conclusions",
    "ReturnCurve",
    "binned",
    "box",
    "conclude",
    "conclusions_text",
    "confirmation_table",
    "domainbed_averages",
    "domainbed_candidates",
    "domainbed_table",
    "domainbed_text",
    "fit_return_curve",
    "learning",
    "measure_shift",
    "optimizer_table",
    "read_domainbed",
    "return_curves",
    "return_table",
    "returns",
    "save",
    "scatter",
    "shift_class",
    "shift_table",
    "slices",
    "summary_markdown",
    "violin",
]


def __getattr__(name: str) -> Any:  # the drawing libraries load when a figure is asked for
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
