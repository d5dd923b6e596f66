"""Estimates with intervals, and the resampling of whole configurations that they come from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHUNK = 8_000_000
"""Weights (resamples x points) held at once: 64 MB."""


@dataclass(frozen=True)
class Estimate:
    """A number with a 95% and a 90% interval.

    The 90% interval is the one for equivalence: it lies within +-d exactly when two one-sided
    tests at 5% both reject a difference of d (TOST; Schuirmann 1987).

    Attributes:
        value: The estimate; NaN where there is none.
        low, high: Ends of the 95% interval.
        low90, high90: Ends of the 90% interval.
    """

    value: float
    low: float
    high: float
    low90: float
    high90: float

    def columns(self, name: str) -> dict[str, float]:
        """The value and the ends of the 95% interval, as columns of a table."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def within(self, margin: float) -> bool:
        """Equivalent to 0 by this margin: the 90% interval lies inside it."""
        return -margin < self.low90 and self.high90 < margin

    def beyond(self, margin: float) -> int:
        """1 if it exceeds ``margin``, -1 if it falls below ``-margin``, else 0.

        Both intervals decide: the 95% one excludes 0, and the 90% one lies beyond the margin.
        """
        if self.low > 0 and self.low90 > margin:
            return 1
        return -1 if self.high < 0 and self.high90 < -margin else 0


UNKNOWN = Estimate(np.nan, np.nan, np.nan, np.nan, np.nan)


def from_error(value: float, error: float, freedom: float) -> Estimate:
    """Student's t intervals from a standard error; with no degree of freedom, no interval."""
    from scipy.special import stdtrit  # late: figures without intervals would wait for it

    if freedom < 1 or not np.isfinite(error):
        return replace(UNKNOWN, value=float(value))
    wide, narrow = (float(stdtrit(freedom, p)) * error for p in (0.975, 0.95))
    return Estimate(float(value), value - wide, value + wide, value - narrow, value + narrow)


def within_range(estimate: Estimate, low: float, high: float) -> Estimate:
    """The estimate with the ends of its intervals where values can be, such as 0 to 1."""
    ends = (estimate.low, estimate.high, estimate.low90, estimate.high90)
    return Estimate(estimate.value, *(float(np.clip(end, low, high)) for end in ends))


def resampled(
    codes: NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> Iterator[Array]:
    """How often each point is drawn in each bootstrap resample of whole clusters.

    Args:
        codes: Cluster of each point, 0 to G - 1.
        resamples: How many.
        rng: Decides the draws.

    Yields:
        Weights (some resamples, points), until there are ``resamples`` in all.
    """
    groups = int(codes.max()) + 1
    step = max(1, CHUNK // max(len(codes), groups))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(groups, size=(size, groups))
        flat = drawn + groups * np.arange(size)[:, None]
        counts = np.bincount(flat.ravel(), minlength=size * groups).reshape(size, groups)
        yield counts.astype(float)[:, codes]
