"""How the scores of an optimizer's runs are distributed: quartiles, whiskers, density."""

from dataclasses import dataclass

import numpy as np

from ..stats.intervals import Array
from .panels import Panel

SCORES = {"id": "ID accuracy", "ood": "OOD accuracy", "gap": "Gap: ID \N{MINUS SIGN} OOD"}

FEWEST = 5
"""Fewer runs than this are shown as dots alone: they have no quartiles to speak of."""


@dataclass(frozen=True)
class Box:
    """One box: the values of one score of one optimizer's completed runs, and their summary.

    Attributes:
        optimizer: Name of the optimizer.
        values: Values in the order of the runs.
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


def density(values: tuple[float, ...], points: int = 200) -> tuple[Array, Array]:
    """A Gaussian kernel density estimate between the smallest and the largest value.

    Its bandwidth is Scott's (1992), and nothing is drawn where no run lies beyond.

    Args:
        values: At least two different ones, unless empty arrays will do.
        points: Points of the grid.

    Returns:
        Grid and density, both ``(points,)``; empty if no density can be estimated.
    """
    from scipy.stats import gaussian_kde  # half a second to import, and boxes need none of it

    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if not high > low:
        return np.zeros(0), np.zeros(0)
    grid = np.linspace(low, high, points)
    return grid, np.asarray(gaussian_kde(values)(grid))


def boxes(panel: Panel, score: str) -> tuple[Box, ...]:
    """A box of one of ``SCORES`` for each optimizer that has runs, in the panel's order."""
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
