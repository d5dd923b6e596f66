"""Tables, figures and summaries of a results database: reads runs, never trains.

Everything here takes the DataFrame of ``oodbench.results.query.pairs``: one row a run, diverged
and failed runs among them. Importing this package loads neither torch nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.compare.by_shift_class import compare_by_class
    from analysis.compare.expected_best import expected_best
    from analysis.compare.optimizers import compare_kinds, compare_optimizers, compare_to
    from analysis.compare.tasks import compare_across, interquartile_means
    from analysis.conclusions.conclude import Conclusions, conclude
    from analysis.conclusions.confirmation import confirmation_table
    from analysis.conclusions.optimizer_table import optimizer_table
    from analysis.conclusions.summary import summary_markdown
    from analysis.conclusions.text import conclusions_text
    from analysis.curves.fitting import fit_return_curve
    from analysis.curves.lines import fit_line
    from analysis.curves.matching import difference_curve, ood_at_equal_id
    from analysis.curves.return_curves import return_curves, return_table
    from analysis.curves.robustness import effective_robustness
    from analysis.curves.verdicts import ReturnCurve
    from analysis.domainbed.candidates import domainbed_candidates, read_domainbed, stored_domainbed
    from analysis.domainbed.tables import domainbed_averages, domainbed_table, domainbed_text
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
    from analysis.shift.classes import shift_class, shift_table
    from analysis.shift.measure import measure_shift

_HOMES = {
    "Conclusions": "analysis.conclusions.conclude",
    "ReturnCurve": "analysis.curves.verdicts",
    "binned": "analysis.plots.binned",
    "box": "analysis.plots.box",
    "budget": "analysis.plots.budget",
    "compare_across": "analysis.compare.tasks",
    "compare_by_class": "analysis.compare.by_shift_class",
    "compare_kinds": "analysis.compare.optimizers",
    "compare_optimizers": "analysis.compare.optimizers",
    "compare_to": "analysis.compare.optimizers",
    "conclude": "analysis.conclusions.conclude",
    "conclusions_text": "analysis.conclusions.text",
    "confirmation_table": "analysis.conclusions.confirmation",
    "difference_curve": "analysis.curves.matching",
    "domainbed_averages": "analysis.domainbed.tables",
    "domainbed_candidates": "analysis.domainbed.candidates",
    "domainbed_table": "analysis.domainbed.tables",
    "domainbed_text": "analysis.domainbed.tables",
    "effective_robustness": "analysis.curves.robustness",
    "expected_best": "analysis.compare.expected_best",
    "fit_line": "analysis.curves.lines",
    "fit_return_curve": "analysis.curves.fitting",
    "heatmap": "analysis.plots.heatmap",
    "interquartile_means": "analysis.compare.tasks",
    "learning": "analysis.plots.learning",
    "measure_shift": "analysis.shift.measure",
    "ood_at_equal_id": "analysis.curves.matching",
    "optimizer_table": "analysis.conclusions.optimizer_table",
    "paths": "analysis.plots.paths",
    "probed": "analysis.plots.probed",
    "read_domainbed": "analysis.domainbed.candidates",
    "report_html": "analysis.report.page",
    "return_curves": "analysis.curves.return_curves",
    "return_table": "analysis.curves.return_curves",
    "returns": "analysis.plots.returns",
    "save": "analysis.plots.save",
    "scatter": "analysis.plots.scatter",
    "shift_class": "analysis.shift.classes",
    "shift_table": "analysis.shift.classes",
    "slices": "analysis.plots.slices",
    "stored_domainbed": "analysis.domainbed.candidates",
    "summary_markdown": "analysis.conclusions.summary",
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
