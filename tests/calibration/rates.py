"""How often a rule is right: means over simulated studies, with their own errors."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Outcomes = Mapping[str, float]
"""Quantity -> what one simulated study came to, such as 0 or 1; NaN where it says nothing of it."""

Ends = tuple[float, float]

FALSE, COVERAGE = "false verdicts", "coverage"
NO_MORE_THAN_6: Ends = (0.0, 0.06)
NOMINAL: Mapping[str, Ends] = {FALSE: NO_MORE_THAN_6, COVERAGE: (0.93, 0.98)}

SURE = 2.0
"""A rate misses its nominal range if it is outside by more than so many of its errors."""


@dataclass(frozen=True)
class Scenario:
    """A truth, and how one study of it is made and judged.

    Attributes:
        name: What is simulated.
        study: The outcomes of one study, given its random numbers and a seed for resamples.
        studies: How many.
        nominal: Quantity -> between what its mean should lie.
    """

    name: str
    study: Callable[[np.random.Generator, int], Outcomes]
    studies: int = 200
    nominal: Mapping[str, Ends] = field(default_factory=lambda: NOMINAL)


@dataclass(frozen=True)
class Rate:
    """A mean over studies.

    Attributes:
        value: The mean.
        error: Its standard error.
        nominal: Between what it should lie, if that is said.
    """

    value: float
    error: float
    nominal: Ends | None = None

    @property
    def missed(self) -> bool:
        """Whether it is outside by more than chance explains."""
        if self.nominal is None or not np.isfinite(self.value):
            return False
        low, high = self.nominal
        return self.value + SURE * self.error < low or self.value - SURE * self.error > high


def measure(scenario: Scenario, studies: int | None = None) -> dict[str, Rate]:
    """Quantity -> its rate in one scenario.

    Args:
        scenario: Which.
        studies: How many. Default: as many as the scenario says.
    """
    start = zlib.crc32(scenario.name.encode())
    outcomes = [
        scenario.study(np.random.default_rng([start, number]), number)
        for number in range(studies or scenario.studies)
    ]
    names = dict.fromkeys(name for each in outcomes for name in each)
    return {
        name: _rate([each.get(name, np.nan) for each in outcomes], scenario.nominal.get(name))
        for name in names
    }


def _rate(found: list[float], nominal: Ends | None) -> Rate:
    values = np.asarray(found)[np.isfinite(found)]
    n = len(values)
    if not n:
        return Rate(np.nan, np.nan, nominal)
    # Studies that all came out alike do not leave no doubt.
    error = max(values.std() / np.sqrt(n), 1 / n)
    return Rate(float(values.mean()), float(error), nominal)
