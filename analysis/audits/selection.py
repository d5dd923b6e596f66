"""Which part of the OOD examples inverts the line? OODSelect.

Salaudeen et al. (2025), "Aggregation Hides Out-of-Distribution Generalization Failures from
Spurious Correlations" (arXiv 2510.24884): among OOD examples on which accuracy follows ID accuracy
as a whole there may be many on which the better model in distribution is the worse one. Of a given
number of examples those are chosen whose accuracy has the lowest correlation with ID accuracy, and
what is chosen on some models is tested on others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..curves.axes import on_axis
from ..curves.on_the_line import FEWEST
from ..stats.intervals import Array, Estimate
from .line import line_of
from .scored import Scored

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the OOD examples; the last one is all of them, where nothing is chosen."""

FEWEST_EXAMPLES = 10
"""Fewest examples with which accuracy separates models."""

STEPS = 100
"""Maximum steps of the choice; it rarely takes more than ten."""

TINY = 1e-12

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """A share of the OOD examples, chosen on one half of the models.

    Attributes:
        share: Share of the examples.
        n: How many.
        chosen_on: Correlation of ID and OOD accuracy (probit) among the models that chose them.
        held_out: Among the others, with its interval.
    """

    share: float
    n: int
    chosen_on: float
    held_out: Estimate


@dataclass(frozen=True)
class Selection:
    """The part of the OOD examples that inverts the line.

    Attributes:
        shares: Each that was looked at, the smallest first.
        inverted: The largest share on which higher ID accuracy goes with lower OOD accuracy among
            the held-out models, by the 95% interval; 0: none. All of the examples are tested first.
            Else the shares are, in their order, up to the first that fails: so the chance that any
            is found where none is inverted is at most 5%, half of it for either.
        examples: Numbers of the examples of that share.
        models: How many chose, and how many tested.
    """

    shares: tuple[Share, ...]
    inverted: float
    examples: tuple[int, ...]
    models: tuple[int, int]


def select_inverted(scored: Scored, seed: int = 0) -> Selection:
    """Choose on one half of the models that have learned, and test on the other.

    Args:
        scored: The models.
        seed: Decides the halves.
    """
    order = np.random.default_rng([seed, 1]).permutation(np.flatnonzero(scored.learned))
    ours, theirs = scored.of(order[::2]), scored.of(order[1::2])
    if min(len(ours), len(theirs)) < FEWEST:
        return Selection((), 0.0, (), (len(ours), len(theirs)))
    part = ours.ood
    place = on_axis(ours.selecting, "probit", (ours.id_val or ours.id).n)
    shares, chosen = [], []
    for share in SHARES:
        number = round(share * len(part.labels))
        if number >= FEWEST_EXAMPLES:
            chosen.append(lowest_correlation(part.right, place, number))
            held_out = line_of(theirs.on(chosen[-1]), seed).correlation
            before = _probit_correlation(part.right[:, chosen[-1]], place)
            shares.append(Share(share, number, before, held_out))
    last = _last_inverted([one.held_out.high < 0 for one in shares])
    inverted = shares[last].share if last >= 0 else 0.0
    examples = part.examples[chosen[last]] if last >= 0 else part.examples[:0]
    return Selection(
        tuple(shares), inverted, tuple(int(i) for i in examples), (len(ours), len(theirs))
    )


def _last_inverted(each: list[bool]) -> int:
    """The place of the largest share that is inverted, of those that are tested; -1: none."""
    if each and each[-1]:
        return len(each) - 1
    return next((place for place, found in enumerate(each) if not found), len(each)) - 1


def lowest_correlation(right: Array | NDArray[np.float32], place: Array, number: int) -> Places:
    """The examples on which accuracy has the lowest correlation with ``place``.

    From those with the lowest covariance it goes on, as often as that lowers the correlation, to
    those with the lowest derivative of the correlation by their weight: the gradient method of the
    source, with whole examples in place of soft weights.

    Args:
        right: (K, n) whether each model is right.
        place: (K,) ID accuracies on the axis of the correlation.
        number: How many examples.

    Returns:
        (number,) their places, in order.
    """
    y = place - place.mean()
    y = y / max(float(np.linalg.norm(y)), TINY)
    rows = right - right.mean(axis=0)
    covariance = y @ rows
    score, best, found = covariance, np.inf, np.arange(number)
    for _ in range(STEPS):
        chosen = np.argpartition(score, number - 1)[:number]
        x = rows[:, chosen].mean(axis=1)
        norm = max(float(np.linalg.norm(x)), TINY)
        correlation = float(y @ x) / norm
        if correlation >= best - TINY:
            break
        best, found = correlation, np.sort(chosen)
        score = covariance - correlation * ((x / norm) @ rows)
    return found


def _probit_correlation(right: NDArray[np.float32], place: Array) -> float:
    accuracy = on_axis(right.mean(axis=1), "probit", right.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(accuracy, place)[0, 1])
