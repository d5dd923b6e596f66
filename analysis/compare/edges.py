"""Whether a search ends short: its best scores still rise towards the end of a range.

A better value may lie beyond such an end. That the best trial lies near an end says little, for one
in ten does so by chance.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

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
        places: Of these trials in their ranges; see ``positions``.

    Returns:
        Optimizer -> such as ``high end of lr (0.09)``, with the most extreme value that was tried;
        only those that have such ends.
    """
    ends = [
        (str(optimizer), *end)
        for optimizer, runs in panel.groupby("optimizer", sort=False)
        for end in _ends(runs, places.loc[runs.index].dropna(axis=1, how="all"), column)
    ]
    found: dict[str, list[str]] = {}
    for (optimizer, end, _), p in zip(ends, holm([p for _, _, p in ends]), strict=True):
        if p < LEVEL:
            found.setdefault(optimizer, []).append(end)
    return {optimizer: ", ".join(mine) for optimizer, mine in found.items()}


def _ends(runs: pd.DataFrame, places: pd.DataFrame, column: str) -> Iterator[tuple[str, float]]:
    """The ends of an optimizer's ranges that can be looked at, with p of a rise towards each."""
    if places.shape[1] == 0:
        return
    completed = (runs["status"] == "completed").to_numpy()
    score = np.where(completed, runs[column].to_numpy(dtype=float, na_value=np.nan), -np.inf)
    above = np.maximum(stats.rankdata(score) - (1 - BEST) * len(runs), 0) * completed
    # Runs that repeat a configuration are no further evidence.
    where, group = np.unique(places.to_numpy(dtype=float), axis=0, return_inverse=True)
    above = np.bincount(group, above) / np.bincount(group)
    for place, name in zip(where.T, places, strict=True):
        for end, near in (("low", 1 - place), ("high", place)):
            outer = near > 1 - OUTER
            if (above[outer] > 0).sum() < FEWEST or not np.ptp(near[outer]) * np.ptp(above[outer]):
                continue
            extreme = runs[name].min() if end == "low" else runs[name].max()
            p = stats.pearsonr(near[outer], above[outer], alternative="greater").pvalue
            yield f"{end} end of {name} ({extreme:.3g})", float(p)
