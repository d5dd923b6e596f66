"""A measurement or cost (x) against OOD accuracy (y): a point a run, with rank correlations."""

import re
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.path_curves import QUANTITIES
from ..runs.probed_runs import ProbedRuns, probed_data
from ..stats.rank_correlations import ENOUGH, RESAMPLES, Correlation
from .appearance import PanelAppearance, Paneled
from .layouts import Contents, Place
from .legends import write_table
from .page import draw_chance
from .panel_page import panel_page
from .scatter import draw_points
from .style import Palette, Styles, looks, tidy
from .texts import count_texts

WIDE = 30
"""A measurement whose largest value is so many times its smallest has a logarithmic axis."""
NAMES = {
    "sharpness_eigenvalue": "largest eigenvalue of the Hessian",
    "sharpness_trace": "trace of the Hessian",
    "sharpness_sam": "rise of the loss within SAM's radius",
    "seconds": "seconds of training",
    "gradient_evaluations": "gradients of a batch",
    "samples": "examples behind the gradients, repeats counted",
    "all_reduces": "vectors averaged over replicas",
    "communicated_bytes": "bytes that a replica handed in",
    "compute_seconds": "seconds of a replica in its own steps",
    "communication_seconds": "seconds of a replica in averaging",
    "waiting_seconds": "seconds of a replica in waiting for the slowest",
}
"""What measurements are called where they stand on an axis; others by their own name."""

_OF_PATHS = {**QUANTITIES, "best_lr": "RSI / EB\N{SUPERSCRIPT TWO}", "gamma_null": "gamma on noise"}
_ENDS = {"": "", "seed_": ", towards another seed's end"}
_HEADS = {"runs": 0.585, "rho": 0.7, "95% interval": 0.98}
_CAPTION = (
    "rho: Spearman's rank correlation of the two, with its 95% bootstrap interval "
    f"({RESAMPLES:,} resamples of whole draws of hyperparameters); neither for fewer than {ENOUGH} "
    "draws. Within optimizers: the mean of their own, by runs. A correlation over all runs may be "
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
    **look: Unpack[Paneled],
) -> Figure:
    """A measurement or cost of each run against its OOD accuracy.

    A row of panels per dataset and choice of test environments, a panel per algorithm, and under
    each the rank correlations: over all runs, within optimizers, and each optimizer's own.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        probes: A row a run and step, as from ``oodbench.results.probed``.
        measurement: A column of ``probes``, such as ``sharpness_trace`` or ``path_gamma``; or a
            cost, a column of ``pairs``: ``seconds``, ``gradient_evaluations``, ``all_reduces``, ...
        dataset, algorithm, keep, threshold, top, palette: See ``analysis.box``.
        look: Fields of ``analysis.plots.appearance.PanelAppearance``.

    Raises:
        RequestError: Nothing was measured or is named, an option does not go with ``keep``, or a
            size that no such figure has.
        UnknownNameError: No such measurement, dataset, algorithm, palette, option or ``keep``.
    """
    appearance = PanelAppearance.of(look)
    kept: dict[str, Any] = {"keep": keep, "threshold": threshold, "top": top}
    found = probed_data(pairs, probes, measurement, dataset, algorithm, **kept)
    styles = looks(pairs, palette)
    draw = partial(_draw_panel, measurement=str(measurement), styles=styles)
    contents = Contents(
        found, draw, lambda _, width: (0.8 * width - 0.1,), styles, _heading, _entries, _CAPTION
    )
    return panel_page(contents, appearance)


def named(measurement: str) -> str:
    """A measurement's name, such as ``gamma along the path, of full gradients``."""
    parts = re.fullmatch(r"path_(seed_|to_([^_]+)_)?(full_)?(\w+)", measurement)
    if not parts or parts[4] not in _OF_PATHS:
        return NAMES.get(measurement, measurement.replace("_", " "))
    end = f", towards the end of run {parts[2]}" if parts[2] else _ENDS[parts[1] or ""]
    return f"{_OF_PATHS[parts[4]]} along the path{', of full gradients' if parts[3] else ''}{end}"


def _entries(one: ProbedRuns) -> int:
    return 2 + len(one.optimizers)  # over all, and within optimizers


def _draw_panel(place: Place[ProbedRuns], measurement: str, styles: Styles) -> None:
    (axes,), one = place.axes, place.shown
    axes.set_axis_on()
    tidy(axes)
    axes.set(xlabel=named(measurement), ylabel="OOD accuracy")
    draw_points(axes, one.panel, styles, x="measured", zorder=1)
    _set_scale(axes, one.panel.runs["measured"].to_numpy(dtype=float))
    draw_chance(axes, one.panel)
    rows = {"all": one.correlations.overall, "within optimizers": one.correlations.within}
    cells = {name: _cells(found) for name, found in {**rows, **one.by_optimizer}.items()}
    if place.table:
        write_table(place.table, _HEADS, cells, styles, place.lines)


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
    if np.isnan(found.low):
        return f"{found.n:,}", "", ""
    texts = f"{found.value:.2f}", f"{found.low:.2f} to {found.high:.2f}"
    value, ends = (text.replace("-", "\N{MINUS SIGN}") for text in texts)
    return f"{found.n:,}", value, ends
