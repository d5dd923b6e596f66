"""Searches of optimizers that differ in their search spaces only, or not at all.

Every optimizer has one curve from ID to OOD accuracy and one ceiling. A configuration loses ID
accuracy with its distance from what is good, and has it all where everything is good.

``PYTHONPATH=.:tests/helpers python tests/helpers/simulated_spaces.py`` prints the table of
docs/comparing.md.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from simulated_searches import search, together

from analysis import compare_kinds

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

SIXTH = {**NARROW, "lr": Searched(-6, 0, (-3.5, -2.5))}
"""A sixth of the learning rates is good."""

DECAYS = {**NARROW, "weight_decay": Searched(-5, -1, (-9, -3.5), 0.2)}
"""Most of the weight decays are too large."""

OTHER = {"eps": Searched(0, 1, (0.5, 2), 0.3), "beta": Searched(0, 1, (0.5, 2), 0.3)}
"""Half of each of two more ranges is good."""

SHORT = {**NARROW, "lr": Searched(-3, -1, (-0.9, 0))}
"""The learning rates end before the good ones begin."""


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


SCENARIOS = {
    "a quarter of the learning rates is good, of the others' half": Scenario(WIDE),
    "a sixth": Scenario(SIXTH),
    "most of the weight decays are too large": Scenario(DECAYS),
    "half of two more ranges is bad": Scenario({**NARROW, **OTHER}),
    "the same, and a quarter of the learning rates is good": Scenario({**WIDE, **OTHER}),
    "the learning rates end before the good ones begin": Scenario(SHORT),
    "nothing but OOD accuracy, by 5 points": Scenario(effect=0.05),
    "nothing but OOD accuracy, by 3 points": Scenario(effect=0.03),
}


def found_worse(scenario: Scenario, trials: int, seed: int) -> tuple[bool, bool]:
    """Whether adaptive optimizers are found worse out of distribution, and without exception."""
    table = compare_kinds(searched(scenario, trials, seed))
    row = table[table["score"] == "ood"].iloc[0]
    return row["verdict"] == "lower", row["verdict"] == "lower" and not row["not_under"]


def main(searches: int) -> None:
    """Print how often differences of the spaces, and of the optimizers, are found."""
    print("| what differs | trials | found | without exception |\n|---|--:|--:|--:|")
    for name, scenario in SCENARIOS.items():
        for trials in (24, 48, 100):
            seen = [found_worse(scenario, trials, seed) for seed in range(searches)]
            found, plain = np.mean(seen, axis=0)
            print(f"| {name} | {trials} | {found:.0%} | {plain:.0%} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
