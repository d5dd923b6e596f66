"""Looking at an estimate again and again, and being wrong at any look with one small probability.

An interval of fixed size, looked at after each round of draws, misses the truth at some look much
more often than at one. Here the whole sequence of intervals covers it: a confidence sequence.
"""

from functools import lru_cache
from math import exp, log, pi, sqrt

from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit


def boundary(draws: int, first: int, level: float) -> float:
    """How many errors an estimate may lie from the truth at a look.

    A Brownian motion W, looked at from time m on, ever has |W(t)| / sqrt(t) above
    sqrt(a^2 + log(t / m)) with probability 2 (1 - Phi(a) + a phi(a)) (Robbins 1970, "Statistical
    Methods Related to the Law of the Iterated Logarithm", Section 4; Robbins and Siegmund 1970).
    Means of independent draws, divided by their estimated error, come close to one as m grows, so
    that the intervals are an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy
    and Ramdas 2024, "Time-Uniform Central Limit Theory and Asymptotic Confidence Sequences"). So
    does the best of n, a U-statistic: its error is a mean over draws but for smaller terms.

    Args:
        draws: t, the draws at this look.
        first: m, the draws at the first look.
        level: The probability to be further off at any look, at most.
    """
    return sqrt(_start(level) ** 2 + log(draws / first))


def quantile(draws: int, first: int, level: float, freedom: float) -> float:
    """``boundary``, as a quantile of Student's t: the error rests on few searches at first."""
    return float(stdtrit(freedom, ndtr(boundary(draws, first, level))))


@lru_cache
def _start(level: float) -> float:
    """The boundary at the first look."""

    def crossing(a: float) -> float:
        density = exp(-a * a / 2) / sqrt(2 * pi)
        return float(2 * (ndtr(-a) + a * density)) - level

    return float(brentq(crossing, 0, 38))
