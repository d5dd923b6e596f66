"""Violins of ID accuracy, OOD accuracy and their gap, by optimizer."""

from typing import Any, Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.distributions import FEWEST, Box, density
from ..runs.filters import keep_runs
from ..runs.panels import panels
from .appearance import Appearance, Appearing
from .rows import draw_dots, draw_rows
from .style import Look, Palette, looks
from .texts import scored_by

_CAPTION = (
    "Violins: Gaussian kernel density (Scott's bandwidth) of the runs (hyperparameters) from the "
    "lowest to the highest; each to the same width; bar and line: quartiles and median. "
    f"Fewer than {FEWEST} runs are shown as dots."
)


def violin(
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
    """Violins of ID and OOD accuracy and their gap, by optimizer.

    Densities over the completed runs, with quartiles inside. Rows, columns and errors are those of
    ``analysis.box``.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        dataset, algorithm, keep, threshold, top, metric, palette: See ``analysis.box``.
        look: Fields of ``analysis.plots.appearance.Appearance``.
    """
    appearance = Appearance.of(look)
    named = scored_by(pairs, metric)
    found = [keep_runs(one, keep, threshold, top) for one in panels(named, dataset, algorithm)]
    styles = looks(pairs, palette)
    return draw_rows(found, styles, _draw_violin, _CAPTION, appearance, close=keep == "top")


def _draw_violin(axes: Axes, one: Box, y: int, look: Look) -> None:
    grid, height = density(one.values)
    if len(one.values) < FEWEST or not grid.size:
        draw_dots(axes, one.values, one, y, look)
        return
    half = 0.42 * height / height.max()
    style: dict[str, Any] = {"color": look.color, "alpha": 0.3, "linewidth": 0.6}
    axes.fill_between(grid, y - half, y + half, gid=f"violin-{one.optimizer}", **style)
    low, middle, high = one.quartiles
    axes.hlines(y, low, high, color=look.color, linewidth=3)
    axes.vlines(middle, y - 0.2, y + 0.2, color="black", linewidth=1.2)
