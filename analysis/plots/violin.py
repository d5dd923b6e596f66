"""Violins of ID accuracy, OOD accuracy and their gap, by optimizer."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.distributions import FEWEST, Box, box_data, density
from .rows import draw_dots, draw_rows
from .style import Look, Palette, looks

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
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """Violins over the completed runs of each optimizer: densities, with quartiles inside.

    Rows, columns, arguments and errors are those of ``analysis.box``.
    """
    rows = box_data(pairs, dataset, algorithm, keep=keep, threshold=threshold, top=top)
    return draw_rows(
        rows, looks(pairs, palette), _draw_violin, _CAPTION, title, close=keep == "top"
    )


def _draw_violin(axes: Axes, one: Box, y: int, look: Look) -> None:
    grid, height = density(one.values)
    if len(one.values) < FEWEST or not grid.size:
        draw_dots(axes, one.values, one, y, look)
        return
    half = 0.42 * height / height.max()
    axes.fill_between(
        grid,
        y - half,
        y + half,
        color=look.color,
        alpha=0.3,
        linewidth=0.6,
        gid=f"violin-{one.optimizer}",
    )
    low, middle, high = one.quartiles
    axes.hlines(y, low, high, color=look.color, linewidth=3)
    axes.vlines(middle, y - 0.2, y + 0.2, color="black", linewidth=1.2)
