"""How often a rule is right: shares of simulated studies, with the error that they have themselves."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

Outcomes = Mapping[str, float]
"""Quantity -> what one simulated study came to; NaN where it says nothing of it."""


@dataclass(frozen=True)
class Scenario:
    """A truth, and how one study of it is made and judged.

    Attributes:
        name: What is simulated.
        trial: The outcomes of one study, given its random numbers and a seed for resamples.
        repeats: How many studies.
    """

    name: str
    trial: Callable[[np.random.Generator, int], Outcomes]
    repeats: int = 200


NOMINAL: Mapping[str, tuple[float, float]] = {
    "false verdicts": (0.0, 0.06),
    "coverage": (0.93, 0.98),
    "coverage at least": (0.93, 1.0),
}
"""Quantity -> between what its mean should lie; others have none."""


@dataclass(frozen=True)
class Rate:
    """A mean over studies.

    Attributes:
        scenario, quantity: Of what.
        value: The mean.
        error: Its standard error.
        studies: How many it is over.
    """

    scenario: str
    quantity: str
    value: float
    error: float
    studies: int


def measure(scenario: Scenario, repeats: int | None = None) -> list[Rate]:
    """The rates of one scenario."""
    start = zlib.crc32(scenario.name.encode())
    outcomes = [
        scenario.trial(np.random.default_rng([start, repeat]), repeat)
        for repeat in range(repeats or scenario.repeats)
    ]
    quantities = dict.fromkeys(name for each in outcomes for name in each)
    return [_rate(scenario.name, name, [each[name] for each in outcomes if name in each]) for name in quantities]


def _rate(scenario: str, quantity: str, found: list[float]) -> Rate:
    values = np.asarray(found, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return Rate(scenario, quantity, np.nan, np.nan, 0)
    n = len(values)
    # Studies that all came out alike do not leave no doubt.
    error = max(values.std() / np.sqrt(n), 1 / n)
    return Rate(scenario, quantity, float(values.mean()), float(error), n)
