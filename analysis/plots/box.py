"""Box plots of ID accuracy, OOD accuracy and their gap, by optimizer."""

from typing import Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.distributions import FEWEST, Box
from ..runs.filters import keep_runs
from ..runs.panels import panels
from .appearance import Appearance, Appearing
from .rows import draw_dots, draw_rows
from .style import Look, Palette, looks
from .texts import scored_by

MOST_DOTS = 60
"""Boxes of more runs than this show outliers only, not every run."""

_CAPTION = (
    "Boxes: quartiles and median over runs (hyperparameters); whiskers: the farthest runs within "
    f"1.5 interquartile ranges; no box for fewer than {FEWEST} runs. Dots: every run, or the "
    f"outliers only where there are over {MOST_DOTS}."
)


def box(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    keep: str = "all",
    threshold: float | None = None,
    top: int | None = None,
    metric: str = "accuracy",
    palette: Palette = "default",
    **look: Unpack[Appearing],
) -> Figure:
    """Box plots of ID and OOD accuracy and their gap, by optimizer.

    A row of panels per dataset, choice of test environments and algorithm, of the completed runs.
    Beside each optimizer stand its numbers of runs by status.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        keep: Which runs, by ID validation accuracy: ``"all"``, those ``"above"`` a threshold, or
            the ``"top"`` few of each optimizer; see ``analysis.runs.filters.keep_runs``.
        threshold: For ``keep="above"``. Default: chance accuracy.
        top: For ``keep="top"``. Default: 10.
        dataset, algorithm, metric, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No runs, a column is missing, the options of ``keep`` do not fit it, or a
            size that no such figure has.
        UnknownNameError: No such dataset, algorithm, palette, option or ``keep``.
    """
    appearance = Appearance.of(look)
    named = scored_by(pairs, metric)
    found = [keep_runs(one, keep, threshold, top) for one in panels(named, dataset, algorithm)]
    styles = looks(pairs, palette)
    return draw_rows(found, styles, _draw_box, _CAPTION, appearance, close=keep == "top")


def _draw_box(axes: Axes, one: Box, y: int, look: Look) -> None:
    (low, middle, high), (bottom, top) = one.quartiles, one.whiskers
    if len(one.values) >= FEWEST:
        axes.barh(y, high - low, 0.55, left=low, color=look.color, alpha=0.25)
        axes.hlines([y, y], [bottom, high], [low, top], color=look.color, linewidth=0.9)
        axes.vlines([bottom, top], y - 0.15, y + 0.15, color=look.color, linewidth=0.9)
        axes.vlines(middle, y - 0.275, y + 0.275, color="black", linewidth=1.2)
    draw_dots(axes, one.values if len(one.values) <= MOST_DOTS else one.outliers, one, y, look)
