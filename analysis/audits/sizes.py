"""How much of a test set does a difference of two models need?"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from ..stats.intervals import Array
from ..stats.testing import LEVEL
from .scored import Part

POWER = 0.8
"""How often a difference of the margin is to be found."""

MOST_PAIRS = 300
"""Maximum pairs of models; of more, as many are drawn at random."""


@dataclass(frozen=True)
class SetSize:
    """Differences that one side's examples can detect, for pairs of the better half of the models.

    Attributes:
        n: Different examples.
        pairs: Pairs of models.
        error: Standard error of a difference of two accuracies: root mean square over pairs.
        smallest: The difference that is found in four of five cases, by a test at 5%.
        needed: Examples that the margin needs for that.
        ties: The share of pairs whose difference is within 1.96 of its standard errors.
        enough: Whether there are as many examples as the margin needs.
    """

    n: int
    pairs: int
    error: float
    smallest: float
    needed: int
    ties: float
    enough: bool


def set_size(part: Part, margin: float, seed: int = 0) -> SetSize:
    """The differences that these examples can detect.

    Renderings of one example, and its copies in several environments, count as one: see ``error``.

    Args:
        part: Part of the models that would be compared.
        margin: The difference that matters, in accuracy.
        seed: Seed of the pairs, where there are many.
    """
    every = list(combinations(range(len(part.predicted)), 2))
    if len(every) > MOST_PAIRS:
        chosen = np.random.default_rng([seed, 3]).permutation(len(every))[:MOST_PAIRS]
        every = [every[i] for i in chosen]
    if not every or part.n < 2:
        return SetSize(part.n, 0, np.nan, np.nan, 0, np.nan, False)
    first, second = np.array(every).T
    difference = part.right[first] - part.right[second]
    errors = standard_errors(part, difference)
    error, reach = float(np.sqrt(np.mean(errors**2))), ndtri(1 - LEVEL / 2) + ndtri(POWER)
    tied = np.abs(difference @ part.weights) <= ndtri(1 - LEVEL / 2) * errors
    needed = int(np.ceil(part.n * (reach * error / margin) ** 2))
    smallest, ties = float(reach * error), float(tied.mean())
    return SetSize(part.n, len(every), error, smallest, needed, ties, part.n >= needed)


def standard_errors(part: Part, values: Array) -> Array:
    """(P,) of the means of values (P, n) over the examples, which are the random ones."""
    _, number = np.unique(part.examples, return_inverse=True)
    rest = part.weights * (values - (values @ part.weights)[:, None])
    groups = number.max() + 1
    sums = np.array([np.bincount(number, row, groups) for row in rest])
    return np.asarray(np.sqrt((sums**2).sum(axis=1) * groups / (groups - 1)))
