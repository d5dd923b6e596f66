"""Searches of optimizers that differ in their search spaces only, or not at all.

Every optimizer has one curve from ID to OOD accuracy and one ceiling. A configuration loses ID
accuracy with its distance from what is good, and has it all where everything is good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from simulated_searches import search, together

CEILING = 0.92
EXAMPLES = 360
TRAINING, SHIFT = 0.012, 0.02
"""Standard deviations of ID accuracy over training seeds, and of OOD accuracy at one of ID."""


@dataclass(frozen=True)
class Searched:
    """A range, and what is good in it, on the range's own scale (log10 of the value).

    Attributes:
        low, high: Ends of the range.
        good: The ends of what is good; it may lie beyond the range.
        slope: ID accuracy that is lost a unit outside of it.
    """

    low: float
    high: float
    good: tuple[float, float]
    slope: float = 0.25


WIDE = {"lr": Searched(-5, -1, (-3.5, -2.5)), "weight_decay": Searched(-6, -3, (-9, 0))}
"""A quarter of the learning rates is good."""

NARROW = {"lr": Searched(-3, -1, (-2.5, -1.5)), "weight_decay": Searched(-6, -3, (-9, 0))}
"""Half of the learning rates is good."""


@dataclass(frozen=True)
class Scenario:
    """Two optimizers of each kind.

    Attributes:
        adaptive, other: The spaces of each kind.
        effect: What adaptive optimizers lose in OOD accuracy, at any ID accuracy.
    """

    adaptive: Mapping[str, Searched] = field(default_factory=lambda: NARROW)
    other: Mapping[str, Searched] = field(default_factory=lambda: NARROW)
    effect: float = 0.0


def searched(scenario: Scenario, trials: int, seed: int) -> pd.DataFrame:
    """One panel; the same draw of every optimizer has the same quantiles."""
    rng = np.random.default_rng(seed)
    names = sorted({*scenario.adaptive, *scenario.other})
    quantiles = {name: rng.uniform(size=trials) for name in names}
    kinds = {"ad": (scenario.adaptive, scenario.effect), "sgd": (scenario.other, 0.0)}
    return together(
        *(
            _search(f"{kind}{i}", space, effect, quantiles, rng)
            for kind, (space, effect) in kinds.items()
            for i in range(2)
        )
    )


def _search(
    name: str,
    space: Mapping[str, Searched],
    effect: float,
    quantiles: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> pd.DataFrame:
    trials = len(next(iter(quantiles.values())))
    truth = CEILING + rng.normal(0, TRAINING, trials)
    values: dict[str, Any] = {}
    for key, range_ in space.items():
        x = range_.low + (range_.high - range_.low) * quantiles[key]
        low, high = range_.good
        truth -= range_.slope * np.maximum(0, np.maximum(low - x, x - high))
        values[key] = 10**x
    truth = np.clip(truth, 0.1, 0.995)
    id_val, id_test = (rng.binomial(EXAMPLES, truth) / EXAMPLES for _ in range(2))
    ood = 0.2 + 0.7 * truth - effect + rng.normal(0, SHIFT, trials)
    return search(name, id_val, ood, id_test=id_test, **values)
