"""How the scores of an optimizer's runs are distributed: quartiles, whiskers, density."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..stats.intervals import Array
from .filters import keep_runs
from .panels import Panel, panels

SCORES = {"id": "ID accuracy", "ood": "OOD accuracy", "gap": "Gap: ID \N{MINUS SIGN} OOD"}

FEWEST = 5
"""Fewer runs than this are shown as dots alone: they have no quartiles to speak of."""


@dataclass(frozen=True)
class Box:
    """One box: the values of one score of one optimizer's completed runs, and their summary.

    Attributes:
        optimizer: Its name.
        values: In the order of the runs.
        quartiles: First quartile, median, third quartile; linear interpolation.
        whiskers: The farthest values within 1.5 interquartile ranges of the box.
    """

    optimizer: str
    values: tuple[float, ...]
    quartiles: tuple[float, float, float]
    whiskers: tuple[float, float]

    @property
    def outliers(self) -> tuple[float, ...]:
        """The values beyond the whiskers."""
        return tuple(v for v in self.values if not self.whiskers[0] <= v <= self.whiskers[1])


@dataclass(frozen=True)
class BoxRow:
    """One panel's boxes: score (``id``, ``ood``, ``gap``) -> a box per optimizer with runs."""

    panel: Panel
    boxes: Mapping[str, tuple[Box, ...]]


def box_data(
    pairs: pd.DataFrame,
    dataset: str | None = None,
    algorithm: str | None = None,
    *,
    keep: str = "all",
    threshold: float | None = None,
    top: int | None = None,
) -> tuple[BoxRow, ...]:
    """The numbers of ``box`` and ``violin``; see there for arguments and errors."""
    kept = [keep_runs(panel, keep, threshold, top) for panel in panels(pairs, dataset, algorithm)]
    return tuple(BoxRow(panel, {score: _boxes(panel, score) for score in SCORES}) for panel in kept)


def density(values: tuple[float, ...], points: int = 200) -> tuple[Array, Array]:
    """A Gaussian kernel density estimate between the smallest and the largest value.

    Its bandwidth is Scott's (1992), and nothing is drawn where no run lies beyond.

    Args:
        values: At least two different ones, unless empty arrays will do.
        points: Of the grid.

    Returns:
        Grid and density, both ``(points,)``; empty if no density can be estimated.
    """
    from scipy.stats import gaussian_kde  # half a second to import, and boxes need none of it

    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if not high > low:
        return np.zeros(0), np.zeros(0)
    grid = np.linspace(low, high, points)
    return grid, np.asarray(gaussian_kde(values)(grid))


def _boxes(panel: Panel, score: str) -> tuple[Box, ...]:
    made = []
    for optimizer in map(str, panel.counts.index):
        values = panel.of(optimizer)[score].to_numpy(dtype=float)
        if values.size:
            low, middle, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
            reach = 1.5 * (high - low)
            # A box edge may lie between two runs, so no run need lie between it and its whisker.
            bottom = min(low, float(values[values >= low - reach].min()))
            top = max(high, float(values[values <= high + reach].max()))
            made.append(Box(optimizer, tuple(values.tolist()), (low, middle, high), (bottom, top)))
    return tuple(made)
