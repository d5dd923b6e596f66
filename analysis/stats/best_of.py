"""The best of n trials: what a tuning budget of n buys, without bias.

Trials are independent draws from a search space, and of n of them the one that a rule ranks first
is kept. The estimate from the N trials at hand is the mean over all searches of n that can be made
of them *without* replacement: a U-statistic, whose expectation is that of a search of n whatever N
is (Hoeffding 1948; Dodge et al. 2021, "Expected Validation Performance and Estimation of a Random
Variable's Maximum"). The selected trial is among the i lowest ranked with probability
C(i, n) / C(N, n). The estimate with replacement (Dodge et al. 2019) is too low: its n draws are of
fewer than n trials.

Ranks, weights and scores are (..., N), one row a resample; equal ranks are selected equally often.
``weights`` say how often each trial is there: ones for the trials at hand, the counts of a
bootstrap resample otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from .intervals import Array

RESAMPLES = 200
"""Of a bootstrap that gives a standard error; percentiles would need more."""

INDEPENDENT = 4
"""An interval needs the trials of as many independent searches."""


@dataclass(frozen=True)
class Ranked:
    """Trials in the order of their rank.

    Attributes:
        order: (..., N): places of the trials, lowest rank first.
        weights: (..., N) in that order.
        below: (..., N): the weight of all trials that rank lower.
        up_to: (..., N): the same, with those of equal rank.
    """

    order: NDArray[np.int64]
    weights: Array
    below: Array
    up_to: Array

    def selected(self, n: int) -> Array:
        """(..., N) in the order of rank: the probability of each trial to be the one of n."""
        level = self.up_to - self.below
        up_to = _share_of_searches(self.up_to, self.up_to[..., -1:], n)
        # Trials of equal rank are one level: below it lies what is up to the level before.
        starts = self.below[..., 1:] != self.below[..., :-1]
        below = np.zeros_like(up_to)
        below[..., 1:] = np.maximum.accumulate(np.where(starts, up_to[..., :-1], 0.0), axis=-1)
        reached = up_to - below
        share = np.divide(reached, level, out=np.zeros_like(reached), where=level > 0)
        probability: Array = share * self.weights
        return probability

    def sort(self, values: Array) -> Array:
        """Values (..., N) of the trials, in the order of rank."""
        return np.take_along_axis(np.broadcast_to(values, self.order.shape), self.order, axis=-1)

    def expected(self, scores: Array, budgets: Sequence[int]) -> Array:
        """The expected score of the trial selected of n, for each n of ``budgets``: (..., budgets).

        Args:
            scores: (..., N), in the order of the trials.
            budgets: Values of n.
        """
        ordered = self.sort(scores)
        return np.stack([(self.selected(n) * ordered).sum(-1) for n in budgets], axis=-1)


def ranked(rank: Array, weights: Array) -> Ranked:
    """Sort trials by ``rank`` (..., N), lowest first; both are broadcast against each other."""
    order = np.argsort(rank, axis=-1, kind="stable").astype(np.int64, copy=False)
    by_rank = np.take_along_axis(rank, order, axis=-1)
    changes = by_rank[..., 1:] != by_rank[..., :-1]
    edge = np.ones((*by_rank.shape[:-1], 1), dtype=bool)
    first, last = np.append(edge, changes, axis=-1), np.append(changes, edge, axis=-1)
    shape = np.broadcast_shapes(rank.shape, weights.shape)
    order, first, last = (np.broadcast_to(one, shape) for one in (order, first, last))
    mine = np.take_along_axis(np.broadcast_to(weights, shape), order, axis=-1)
    total = np.cumsum(mine, axis=-1)
    below = np.maximum.accumulate(np.where(first, total - mine, 0.0), axis=-1)
    ends = np.where(last, total, np.inf)[..., ::-1]
    up_to = np.minimum.accumulate(ends, axis=-1)[..., ::-1]
    return Ranked(order, mine, below, up_to)


def _share_of_searches(among: Array, total: Array, n: int) -> Array:
    """C(among, n) / C(total, n): the searches of n that are made of some of the trials alone."""
    most = np.maximum(total, 1).astype(np.int64)
    size = np.minimum(n, most)  # a resample may hold fewer
    some = np.maximum(among.astype(np.int64), size)
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
    places = np.arange(len(scores) + 1.0)
    reached = np.diff(_share_of_searches(places, np.array(float(len(scores))), n))
    return float(reached @ np.sort(scores))


def none_left(lost: int, trials: int, n: int) -> float:
    """The probability that all n trials of a search are among the ``lost`` ones of ``trials``."""
    if n > trials:
        return float(lost == trials)
    return float(_share_of_searches(np.array(float(lost)), np.array(float(trials)), n))


def freedom(trials: int, n: float) -> float:
    """Degrees of freedom of an interval for the best of n: N/n - 1, or 0 for N < 4 n.

    N trials hold N/n independent searches of n. The bootstrap by itself covers too little once n is
    a large part of N, for no resample of a maximum exceeds it.
    """
    return trials / n - 1 if trials >= INDEPENDENT * n else 0.0
