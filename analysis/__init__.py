"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Importing this package loads neither torch nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.across import compare_across, interquartile_means
    from analysis.classes import compare_by_class
    from analysis.comparing import compare_kinds, compare_optimizers, compare_to
    from analysis.conclusions import Conclusions, conclude
    from analysis.confirmation import confirmation_table
    from analysis.curves import return_curves, return_table
    from analysis.domainbed import domainbed_candidates, read_domainbed, stored_domainbed
    from analysis.domainbed_tables import domainbed_averages, domainbed_table, domainbed_text
    from analysis.fitting import fit_return_curve
    from analysis.lines import fit_line
    from analysis.matching import difference_curve, ood_at_equal_id
    from analysis.plots.binned import binned
    from analysis.plots.box import box
    from analysis.plots.budget import budget
    from analysis.plots.heatmap import heatmap
    from analysis.plots.learning import learning
    from analysis.plots.paths import paths
    from analysis.plots.probed import probed
    from analysis.plots.returns import returns
    from analysis.plots.save import save
    from analysis.plots.scatter import scatter
    from analysis.plots.slices import slices
    from analysis.plots.violin import violin
    from analysis.report.page import report_html
    from analysis.robustness import effective_robustness
    from analysis.shift import measure_shift
    from analysis.shift_classes import shift_class, shift_table
    from analysis.summary import summary_markdown
    from analysis.tables import optimizer_table
    from analysis.tuning import expected_best
    from analysis.verdicts import ReturnCurve
    from analysis.wording import conclusions_text

_HOMES = {
    "Conclusions": "analysis.conclusions",
    "ReturnCurve": "analysis.verdicts",
    "binned": "analysis.plots.binned",
    "box": "analysis.plots.box",
    "budget": "analysis.plots.budget",
    "compare_across": "analysis.across",
    "compare_by_class": "analysis.classes",
    "compare_kinds": "analysis.comparing",
    "compare_optimizers": "analysis.comparing",
    "compare_to": "analysis.comparing",
    "conclude": "analysis.conclusions",
    "conclusions_text": "analysis.wording",
    "confirmation_table": "analysis.confirmation",
    "difference_curve": "analysis.matching",
    "domainbed_averages": "analysis.domainbed_tables",
    "domainbed_candidates": "analysis.domainbed",
    "domainbed_table": "analysis.domainbed_tables",
    "domainbed_text": "analysis.domainbed_tables",
    "effective_robustness": "analysis.robustness",
    "expected_best": "analysis.tuning",
    "fit_line": "analysis.lines",
    "fit_return_curve": "analysis.fitting",
    "heatmap": "analysis.plots.heatmap",
    "interquartile_means": "analysis.across",
    "learning": "analysis.plots.learning",
    "measure_shift": "analysis.shift",
    "ood_at_equal_id": "analysis.matching",
    "optimizer_table": "analysis.tables",
    "paths": "analysis.plots.paths",
    "probed": "analysis.plots.probed",
    "read_domainbed": "analysis.domainbed",
    "report_html": "analysis.report.page",
    "return_curves": "analysis.curves",
    "return_table": "analysis.curves",
    "returns": "analysis.plots.returns",
    "save": "analysis.plots.save",
    "scatter": "analysis.plots.scatter",
    "shift_class": "analysis.shift_classes",
    "shift_table": "analysis.shift_classes",
    "slices": "analysis.plots.slices",
    "stored_domainbed": "analysis.domainbed",
    "summary_markdown": "analysis.summary",
    "violin": "analysis.plots.violin",
}

__all__ = [
    "Conclusions",
    "ReturnCurve",
    "binned",
    "box",
    "budget",
    "compare_across",
    "compare_by_class",
    "compare_kinds",
    "compare_optimizers",
    "compare_to",
    "conclude",
    "conclusions_text",
    "confirmation_table",
    "difference_curve",
    "domainbed_averages",
    "domainbed_candidates",
    "domainbed_table",
    "domainbed_text",
    "effective_robustness",
    "expected_best",
    "fit_line",
    "fit_return_curve",
    "heatmap",
    "interquartile_means",
    "learning",
    "measure_shift",
    "ood_at_equal_id",
    "optimizer_table",
    "paths",
    "probed",
    "read_domainbed",
    "report_html",
    "return_curves",
    "return_table",
    "returns",
    "save",
    "scatter",
    "shift_class",
    "shift_table",
    "slices",
    "stored_domainbed",
    "summary_markdown",
    "violin",
]


def __getattr__(name: str) -> Any:  # the drawing libraries load when a figure is asked for
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
