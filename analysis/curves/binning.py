"""Mean OOD accuracy of the runs in each bin of ID accuracy, by optimizer."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from oodbench.errors import RequestError

from ..runs.panels import Panel, panels
from ..stats.intervals import Array, Estimate, from_error

FEWEST = 5
"""A bin with fewer configurations of an optimizer has a mean, but no interval."""


@dataclass(frozen=True)
class Bin:
    """One optimizer's runs in one bin.

    Attributes:
        low, high: Ends of the bin.
        runs: How many.
        configurations: How many different ones they are of.
        ood: Mean OOD accuracy, each configuration counted once, and its t intervals; these are
            NaN below ``FEWEST`` configurations.
    """

    low: float
    high: float
    runs: int
    configurations: int
    ood: Estimate

    @property
    def middle(self) -> float:
        """The middle of the bin."""
        return (self.low + self.high) / 2


@dataclass(frozen=True)
class Binned:
    """One panel in bins.

    Attributes:
        panel: Runs of the panel.
        edges: (bins + 1,), of equal widths over [0, 1].
        bins: Optimizer -> its bins that hold runs, from low to high ID accuracy.
    """

    panel: Panel
    edges: Array
    bins: dict[str, tuple[Bin, ...]]


def bin_index(accuracy: Array, bins: int) -> np.ndarray:
    """Which of ``bins`` equal bins over [0, 1] holds each accuracy: 0 to bins - 1.

    A bin holds its lower edge, the last one its upper edge too, so that each accuracy is in
    exactly one. Accuracies are rounded to 12 decimals first: a mean that should be 0.3 counts as
    0.3 whatever its last bit.

    Raises:
        RequestError: An accuracy outside [0, 1].
    """
    outside = accuracy[~((accuracy >= 0) & (accuracy <= 1))]
    if outside.size:
        raise RequestError(
            f"ID accuracies are fractions in [0, 1], but one is {outside[0]:g}. Divide percentages "
            "by 100; bins of another metric are not defined."
        )
    edges = np.arange(bins + 1) / bins
    return np.minimum(np.searchsorted(edges, np.round(accuracy, 12), side="right") - 1, bins - 1)


def binned_data(
    pairs: pd.DataFrame,
    dataset: str | None = None,
    algorithm: str | None = None,
    *,
    bins: int = 10,
) -> tuple[Binned, ...]:
    """The numbers of ``binned``; see there for arguments and errors."""
    if bins < 1:
        raise RequestError(f"bins must be at least 1, but got {bins}.")
    return tuple(_binned(panel, bins) for panel in panels(pairs, dataset, algorithm))


def _binned(panel: Panel, bins: int) -> Binned:
    edges = np.arange(bins + 1) / bins
    found = {}
    for optimizer in map(str, panel.counts.index):
        runs = panel.of(optimizer)
        place = bin_index(runs["id"].to_numpy(dtype=float), bins)
        found[optimizer] = tuple(
            _bin(runs[place == k], float(edges[k]), float(edges[k + 1])) for k in np.unique(place)
        )
    return Binned(panel, edges, found)


def _bin(runs: pd.DataFrame, low: float, high: float) -> Bin:
    """Repeats of a configuration are not independent draws from the search space: they are one."""
    means = runs.groupby(runs.get("config_id", runs["run"]))["ood"].mean().to_numpy(dtype=float)
    n = len(means)
    error = float(np.std(means, ddof=1) / np.sqrt(n)) if n >= FEWEST else np.nan
    return Bin(low, high, len(runs), n, from_error(float(means.mean()), error, n - 1))
