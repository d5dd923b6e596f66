"""A measurement or cost (x) against OOD accuracy (y): a point a run, with rank correlations."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.probed_runs import ProbedRuns, probed_data
from ..stats.rank_correlations import FEWEST, RESAMPLES, Correlation
from .legends import write_table
from .page import Place, draw_chance, panel_page, set_heading
from .scatter import draw_points
from .style import Palette, Styles, looks, tidy
from .texts import count_texts

WIDE = 30
"""A measurement whose largest value is so many times its smallest has a logarithmic axis."""
NAMES = {
    "sharpness_eigenvalue": "largest eigenvalue of the Hessian",
    "sharpness_trace": "trace of the Hessian",
    "sharpness_sam": "rise of the loss within SAM's radius",
    "path_gamma": "gamma along the path",
    "path_rsi": "RSI along the path",
    "path_eb": "EB along the path",
    "seconds": "seconds of training",
}
"""What measurements are called where they stand on an axis; others by their own name."""
_HEADS = {"runs": 0.585, "rho": 0.7, "95% interval": 0.98}
_CAPTION = (
    "rho: Spearman's rank correlation of the two, with its 95% bootstrap interval "
    f"({RESAMPLES:,} resamples of whole draws of hyperparameters; none for fewer than {FEWEST} "
    "runs). Within optimizers: the mean of their own, by runs. A correlation over all runs may be "
    "one between optimizers. Of what was measured along training a run has its median."
)


def probed(
    pairs: pd.DataFrame,
    probes: pd.DataFrame,
    *,
    measurement: str | None = None,
    dataset: str | None = None,
    algorithm: str | None = None,
    keep: str = "all",
    threshold: float | None = None,
    top: int | None = None,
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """A measurement or cost of each run against its OOD accuracy.

    A row of panels per dataset and choice of test environments, a panel per algorithm, and under
    each the rank correlations: over all runs, within optimizers, and each optimizer's own.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        probes: A row a run and step, as from ``oodbench.results.probed``.
        measurement: A column of ``probes``, such as ``sharpness_trace`` or ``path_gamma``; or a
            cost, a column of ``pairs``: ``seconds``, ``gradient_evaluations``, ``all_reduces``, ...
        dataset, algorithm, keep, threshold, top, palette, title: As for ``analysis.box``.

    Raises:
        RequestError: Nothing was measured or is named, or an option does not go with ``keep``.
        UnknownNameError: No such measurement, dataset, algorithm, palette or ``keep``.
    """
    kept: dict[str, Any] = {"keep": keep, "threshold": threshold, "top": top}
    found = probed_data(pairs, probes, measurement, dataset, algorithm, **kept)
    draw = partial(_draw_panel, measurement=str(measurement), styles=looks(pairs, palette))
    return panel_page(found, _entries, lambda _, width: (0.8 * width - 0.1,), draw, title, _CAPTION)


def _entries(one: ProbedRuns) -> int:
    return 2 + len(one.optimizers)  # over all, and within optimizers


def _draw_panel(place: Place[ProbedRuns], measurement: str, styles: Styles) -> None:
    (axes, table), one = place.axes, place.shown
    axes.set_axis_on()
    tidy(axes)
    axes.set(xlabel=NAMES.get(measurement, measurement.replace("_", " ")), ylabel="OOD accuracy")
    draw_points(axes, one.panel, styles, x="measured", zorder=1)
    _set_scale(axes, one.panel.runs["measured"].to_numpy(dtype=float))
    draw_chance(axes, one.panel)
    rows = {"all": one.correlations.overall, "within optimizers": one.correlations.within}
    cells = {name: _cells(found) for name, found in {**rows, **one.by_optimizer}.items()}
    write_table(table, _HEADS, cells, styles, place.lines)
    set_heading(axes, _heading(one), place.wrap)


def _heading(one: ProbedRuns) -> tuple[str, ...]:
    """The panel's, with what is not drawn: no table of this figure counts it."""
    lost = count_texts(one.panel.counts.sum())[1:]
    lost += [f"{one.unmeasured:,} not measured"] if one.unmeasured else []
    return (*one.panel.heading, *([f"not drawn: {', '.join(lost)}"] if lost else []))


def _set_scale(axes: Axes, values: np.ndarray) -> None:
    """Logarithmic where values spread so; linear about 0 where some of those are not above it."""
    sizes = np.abs(values[values != 0])
    if len(sizes) < 2 or sizes.max() <= WIDE * sizes.min():
        return
    if (values > 0).all():
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=float(np.percentile(sizes, 10)), linscale=0.3)


def _cells(found: Correlation) -> tuple[str, str, str]:
    value = "" if np.isnan(found.value) else f"{found.value:.2f}"
    ends = "" if np.isnan(found.low) else f"{found.low:.2f} to {found.high:.2f}"
    minus = "\N{MINUS SIGN}"
    return f"{found.n:,}", value.replace("-", minus), ends.replace("-", minus)
