"""A number with the variance of its estimate: interval, p-value, and where the variance is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from ..runs.resampling import ANSWERS, DRAWS, EXAMPLES
from ..stats.intervals import Array, Estimate
from ..stats.testing import LEVEL, p_value

MANY = 1000.0
"""Degrees of freedom of a variance over test examples, of which there are at least hundreds."""


@dataclass(frozen=True)
class Uncertain:
    """A number with the variance of its estimate.

    Attributes:
        value: The number.
        parts: Variances that add up, and the degrees of freedom of each.
    """

    value: float
    parts: tuple[tuple[float, float], ...]

    def half(self, level: float) -> float:
        """Half the width of the interval of 1 - ``level``; NaN where a part has no freedom.

        Each variance with the quantile of its own Student's t (Banerjee 1960), which keeps the
        coverage whatever their ratio; Satterthwaite's degrees of freedom do not where a variance of
        few degrees happens to be estimated low.
        """
        variances, freedom = np.array(self.parts).T
        if freedom.min() < 1 or not np.isfinite(variances).all():
            return float("nan")
        return float(np.sqrt((stdtrit(freedom, 1 - level / 2) ** 2 * variances).sum()))

    def estimate(self) -> Estimate:
        """The value with its 95% and 90% intervals."""
        wide, narrow = self.half(LEVEL), self.half(2 * LEVEL)
        ends = self.value - wide, self.value + wide, self.value - narrow, self.value + narrow
        return Estimate(self.value, *ends)

    def p(self) -> float:
        """Two-sided p-value for 0: the level at which the interval ends there."""
        if not np.isfinite(self.half(LEVEL)):
            return float("nan")
        if self.half(LEVEL) == 0:
            return float(self.value == 0)
        if len(self.parts) == 1:
            variance, freedom = self.parts[0]
            return p_value(self.value, np.sqrt(variance), freedom)
        least = 1e-12
        if self.half(least) < abs(self.value):
            return least
        return float(brentq(lambda level: self.half(level) - abs(self.value), least, 1.0))

    def sign(self, level: float = LEVEL) -> int:
        """1 or -1 for a number that is tested to lie above or below 0, else 0."""
        return int(np.sign(self.value)) if self.half(level) < abs(self.value) else 0


def variances(
    sampled: Array, ways: Mapping[str, slice], df: float, splits: Sequence[float]
) -> tuple[tuple[float, float], ...]:
    """The parts of the variance of an estimate; see ``Uncertain``.

    Args:
        sampled: (R,): as it is, then in every resample.
        ways: Which rows are resampled in which way; see ``analysis.runs.resampling``.
        df: Degrees of freedom of the variance over draws.
        splits: The estimate on each data split; it is their mean. Of one split nothing is known of
            what another would give.
    """
    parts = [(variance(sampled[ways[DRAWS]]), df)]
    if EXAMPLES in ways:
        of_examples = variance(sampled[ways[EXAMPLES]]) - variance(sampled[ways[ANSWERS]])
        parts.append((max(0.0, of_examples), MANY))
    if len(splits) > 1:
        parts.append((variance(np.array(splits)) / len(splits), len(splits) - 1.0))
    return tuple(parts)


def variance(sampled: Array) -> float:
    """The variance of (R,) resamples."""
    return float(np.var(sampled, ddof=1))
