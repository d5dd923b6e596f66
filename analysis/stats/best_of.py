"""The best of n trials: what a tuning budget of n buys, without bias.

Trials are independent draws from a search space, and of n of them the one that a rule ranks first
is kept. The estimate from the N trials at hand is the mean over all searches of n that can be made
of them *without* replacement: a U-statistic, whose expectation is that of a search of n whatever N
is (Hoeffding 1948; Dodge et al. 2021, "Expected Validation Performance and Estimation of a Random
Variable's Maximum"). The selected trial is among the i lowest ranked with probability
C(i, n) / C(N, n). The estimate with replacement (Dodge et al. 2019) is too low: its n draws are of
fewer than n trials.

Ranks, weights and scores are (R, N), one row a resample; equal ranks are selected equally often.
``weights`` say how often each trial is there: ones for the trials at hand, the counts of a
bootstrap resample otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from .intervals import Array

RESAMPLES = 200
"""Resamples of a bootstrap that gives a standard error; percentiles would need more."""

INDEPENDENT = 4
"""An interval needs the trials of as many independent searches."""


@dataclass(frozen=True)
class Ranked:
    """Trials in levels of equal rank, lowest first.

    There are as many levels as the row with the most has; of the others the last ones are empty.

    Attributes:
        order: (R, N), or (1, N) for all resamples: places of the trials, lowest rank first.
        levels: (R, N), or (1, N): the level of each trial, in the order of the trials.
        weights: (R, N), in the order of the trials.
        present: (R, levels): the weight of each level.
    """

    order: NDArray[np.int64]
    levels: NDArray[np.int64]
    weights: Array
    present: Array

    def selected(self, n: int) -> Array:
        """(R, N): the probability of each trial to be the one selected of n."""
        each = self._reached([n])[:, 0] / np.maximum(self.present, 1)
        rows = np.arange(len(each))[:, None]
        probability: Array = each[rows, self.levels] * self.weights
        return probability

    def expected(self, scores: Sequence[Array], budgets: Sequence[int]) -> Array:
        """(R, budgets, scores): the expected scores of the trial selected of n.

        Args:
            scores: Values of each score, (R, N) or (1, N), in the order of the trials.
            budgets: Values of n.
        """
        sums = [_summed(self.order, self.levels, self.weights * each) for each in scores]
        means = np.stack(sums, axis=-1) / np.maximum(self.present, 1)[..., None]
        found: Array = self._reached(budgets) @ means
        return found

    def _reached(self, budgets: Sequence[int]) -> Array:
        """(R, budgets, levels): the probability that the trial selected of n is of each level."""
        up_to = np.zeros((len(self.present), self.present.shape[1] + 1), dtype=np.int64)
        np.cumsum(self.present.astype(np.int64), axis=-1, out=up_to[:, 1:])
        share = _share_of_searches(up_to[:, None], up_to[:, None, -1:], np.array(budgets)[:, None])
        found: Array = share[..., 1:] - share[..., :-1]
        return found


def ranked(rank: Array, weights: Array) -> Ranked:
    """Sort trials by ``rank``, lowest first; it and ``weights`` are (R, N) or (1, N)."""
    order = np.argsort(rank, axis=-1).astype(np.int64, copy=False)
    by_rank = np.take_along_axis(rank, order, axis=-1)
    higher = np.zeros(order.shape, dtype=np.int64)
    np.cumsum(by_rank[:, 1:] != by_rank[:, :-1], axis=-1, out=higher[:, 1:])
    levels = np.empty_like(higher)
    np.put_along_axis(levels, order, higher, axis=-1)
    weights = np.broadcast_to(weights, (max(len(rank), len(weights)), rank.shape[1]))
    return Ranked(order, levels, weights, _summed(order, levels, weights))


def _summed(order: NDArray[np.int64], levels: NDArray[np.int64], values: Array) -> Array:
    """(R, levels): the sums of values (R, N) of trials."""
    if len(order) == 1:  # adding neighbours is several times faster
        starts = np.flatnonzero(np.diff(levels[0, order[0]], prepend=-1))
        sums: Array = np.add.reduceat(values[:, order[0]], starts, axis=-1)
        return sums
    rows, most = len(values), int(levels.max()) + 1
    places = levels + most * np.arange(rows)[:, None]
    flat = np.bincount(places.ravel(), values.ravel(), rows * most)
    return flat.reshape(rows, most).astype(float, copy=False)


def _share_of_searches(among: ArrayLike, total: ArrayLike, n: ArrayLike) -> Array:
    """C(among, n) / C(total, n): the searches of n that are made of some of the trials alone."""
    among, total = (np.asarray(each, dtype=np.int64) for each in (among, total))
    most = np.maximum(total, 1)
    size = np.minimum(n, most)  # a resample may hold fewer
    some = np.maximum(among, size)
    logs = _log_factorials(int(most.max()))
    share = np.exp(logs[some] - logs[some - size] - (logs[most] - logs[most - size]))
    return np.where(among < size, 0.0, share)


@lru_cache(maxsize=8)
def _log_factorials(most: int) -> Array:
    """log(i!) for i = 0 to ``most``: a table, for the counts are whole numbers."""
    table: Array = gammaln(np.arange(most + 1) + 1.0)
    return table


def expected_highest(scores: Array, n: int) -> float:
    """The expected highest of n of these scores (N,), all of which are kept if there are fewer."""
    reached = np.diff(_share_of_searches(np.arange(len(scores) + 1), len(scores), n))
    return float(reached @ np.sort(scores))


def none_left(lost: int, trials: int, n: int) -> float:
    """The probability that all n trials of a search are among the ``lost`` ones of ``trials``."""
    if n > trials:
        return float(lost == trials)
    return float(_share_of_searches(lost, trials, n))


def freedom(trials: int, n: float) -> float:
    """Degrees of freedom of an interval for the best of n: N/n - 1, or 0 for N < 4 n.

    N trials hold N/n independent searches of n. The bootstrap by itself covers too little once n is
    a large part of N, for no resample of a maximum exceeds it.
    """
    return trials / n - 1 if trials >= INDEPENDENT * n else 0.0
