"""Whether a search ends short: its best scores still rise towards the end of a range.

A better value may lie beyond such an end. That the best trial lies near an end says little, for one
in ten does so by chance.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import stdtr

from ..stats.intervals import Array
from ..stats.testing import LEVEL, holm

OUTER = 1 / 3
"""The part of a range, at either end, in which scores may rise towards that end."""

BEST = 1 / 3
"""The share of the trials that are an optimizer's best."""

FEWEST = 5
"""An end is looked at if so many of the best trials lie in its outer part."""


def rising_edges(panel: pd.DataFrame, column: str, places: pd.DataFrame) -> dict[str, str]:
    """The ends of each optimizer's ranges towards which its best scores rise.

    Among the trials in the outer third of a range, the nearer to its end, the higher is then a
    trial's rank among the optimizer's best third (0 for others). The test is Pearson's correlation,
    one-sided, Holm-corrected over the ends of all ranges of the panel that have a few of the best
    trials there. Only the order inside the outer third matters, so that a plateau that reaches an
    end, or a peak well before it, is no rise.

    Args:
        panel: The trials of one panel, a row each; see ``analysis.runs.trials.trials_of``.
        column: The score that *best* is about.
        places: Places of these trials in their ranges; see ``positions``.

    Returns:
        Optimizer -> such as ``high end of lr (0.09)``, with the most extreme value that was tried;
        only those that have such ends.
    """
    ends = [
        (str(optimizer), *end)
        for optimizer, runs in panel.groupby("optimizer", sort=False)
        for end in _ends(runs, places.loc[runs.index].dropna(axis=1, how="all"), column)
    ]
    correlation, n = np.array([end[2:] for end in ends]).reshape(-1, 2).T
    found: dict[str, list[str]] = {}
    for (optimizer, end, *_), p in zip(ends, holm(_p_of_rise(correlation, n)), strict=True):
        if p < LEVEL:
            found.setdefault(optimizer, []).append(end)
    return {optimizer: ", ".join(mine) for optimizer, mine in found.items()}


def _p_of_rise(correlation: Array, n: Array) -> Array:
    """One-sided p values of Pearson's correlation: (n - 2) r**2 / (1 - r**2) is a t value's square.

    All at once: ``scipy.stats.pearsonr`` takes a millisecond for each, and a study has thousands.
    """
    with np.errstate(divide="ignore"):  # a perfect correlation
        t = correlation * np.sqrt((n - 2) / np.maximum(1 - correlation**2, 0))
    p: Array = stdtr(n - 2, -t)
    return p


def _ends(
    runs: pd.DataFrame, places: pd.DataFrame, column: str
) -> Iterator[tuple[str, float, int]]:
    """The ends of an optimizer's ranges that can be looked at, with the correlation there and n."""
    if places.shape[1] == 0:
        return
    completed = (runs["status"] == "completed").to_numpy()
    score = np.where(completed, runs[column].to_numpy(dtype=float, na_value=np.nan), -np.inf)
    above = np.maximum(_ranks(score) - (1 - BEST) * len(runs), 0) * completed
    # Runs that repeat a configuration are no further evidence.
    where, group = np.unique(places.to_numpy(dtype=float), axis=0, return_inverse=True)
    above = np.bincount(group, above) / np.bincount(group)
    for place, name in zip(where.T, places, strict=True):
        for end, near in (("low", 1 - place), ("high", place)):
            outer = near > 1 - OUTER
            if (above[outer] > 0).sum() < FEWEST or not np.ptp(near[outer]) * np.ptp(above[outer]):
                continue
            extreme = runs[name].min() if end == "low" else runs[name].max()
            correlation = np.corrcoef(near[outer], above[outer])[0, 1]
            yield f"{end} end of {name} ({extreme:.3g})", float(correlation), int(outer.sum())


def _ranks(values: Array) -> Array:
    """Ranks from 1 for the lowest; equal values share their mean rank."""
    _, level, size = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(size) - (size - 1) / 2)[level]
