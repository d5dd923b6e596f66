"""Simulated sweeps whose return curve is known: how often is the verdict right, wrong, withheld?

``PYTHONPATH=. python tests/helpers/simulated_returns.py`` prints the tables of
docs/return-curves.md.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from analysis.curves.matching import ood_at_equal_id
from analysis.curves.return_curves import return_curves
from analysis.curves.robustness import effective_robustness
from analysis.curves.verdicts import SMALLEST_BEND, SMALLEST_GAIN

NOISE = 0.02
"""Standard deviation of the true OOD accuracy of runs around the curve."""

Array = np.ndarray
Rng = np.random.Generator

DESIGNS: dict[str, Callable[[Rng, int], Array]] = {
    "even": lambda rng, n: rng.uniform(0.4, 0.92, n),
    "wide": lambda rng, n: rng.uniform(0.3, 0.9, n),
    "half crowded at .90": lambda rng, n: np.where(
        rng.random(n) < 0.5, rng.normal(0.90, 0.008, n), rng.uniform(0.5, 0.92, n)
    ),
    "all crowded at .90": lambda rng, n: np.minimum(rng.normal(0.90, 0.02, n), 0.99),
    "narrow": lambda rng, n: rng.uniform(0.85, 0.90, n),
}
"""How the true ID accuracies of runs are spread."""

CURVES: dict[str, Callable[[Array], Array]] = {
    "line": lambda p: 0.05 + 0.9 * (p - 0.3),
    "flat": lambda p: np.full_like(p, 0.4),
    "inverse": lambda p: 0.8 - 0.4 * (p - 0.3),
    "hinge": lambda p: 0.3 + 0.2 * (p - 0.3) + 1.6 * np.clip(p - 0.75, 0, None),
    "saturating": lambda p: 0.2 + 0.9 * np.minimum(p, 0.7) - 0.1 * np.clip(p - 0.7, 0, None),
    "line on the probit axis": lambda p: special.ndtr(0.9 * special.ndtri(p) - 0.8),
    "bent by just over 1 point": lambda p: 0.3 + 0.5 * (p - 0.4) + 0.19 * (p - 0.6) ** 2,
    "bent by just under 1 point": lambda p: 0.3 + 0.5 * (p - 0.4) + 0.175 * (p - 0.6) ** 2,
    "slope .6 to 1.4": lambda p: 0.5 + 0.6 * (p - 0.85) + 8 * (p - 0.85) ** 2,
}
"""True OOD accuracy of a true ID accuracy."""


def scenario(
    design: str,
    curve: str,
    n: int,
    rng: Rng,
    *,
    examples: int = 359,
    ood_examples: int = 2000,
    noise: float = NOISE,
    optimizer: str = "sgd",
    first_seed: int = 0,
) -> pd.DataFrame:
    """The runs of one optimizer, measured on validation, ID and OOD test examples of their own."""
    p = np.clip(DESIGNS[design](rng, n), 0.01, 0.99)
    q = np.clip(CURVES[curve](p) + noise * rng.standard_normal(n), 0, 1)
    seen = {"id_val": (p, examples), "id_test": (p, examples), "ood": (q, ood_examples)}
    scores = {name: rng.binomial(size, true) / size for name, (true, size) in seen.items()}
    sizes = {"n_id_val": examples, "n_id": examples, "n_ood": ood_examples}
    names = [f"{optimizer}-{i}" for i in range(n)]
    known: dict[str, Any] = {"dataset": "D", "test_environments": "0", "algorithm": "erm"}
    known |= {"optimizer": optimizer}
    known |= {"status": "completed", "sampler": "random", "chance": 0.1, **sizes}
    seeds = first_seed + np.arange(n)
    frame = pd.DataFrame({"run": names, "config_id": names, "seed": seeds, **scores})
    return frame.assign(id=frame["id_test"], **known)


def two_optimizers(
    designs: tuple[str, str], curve: str, n: int, rng: Rng, **settings: int
) -> pd.DataFrame:
    """Two optimizers on one curve: there is no difference at equal ID accuracy."""
    first = scenario(designs[0], curve, n, rng, optimizer="sgd", **settings)
    other = scenario(designs[1], curve, n, rng, optimizer="adam", first_seed=10**6, **settings)
    return pd.concat([first, other], ignore_index=True)


@dataclass(frozen=True)
class Tally:
    """Verdicts of many simulated sweeps of one truth, and how often intervals held the truth."""

    truth: str
    verdicts: Counter[str]
    covered: float

    @property
    def repeats(self) -> int:
        return self.verdicts.total()

    @property
    def right(self) -> float:
        return self.verdicts[self.truth] / self.repeats

    @property
    def withheld(self) -> float:
        names = ("not determined", "undecided", "not comparable")
        return sum(self.verdicts[name] for name in names) / self.repeats

    @property
    def wrong(self) -> float:
        return max(0.0, 1 - self.right - self.withheld)


def true_verdict(design: str, curve: str) -> str:
    """By the rule, of the curve itself."""
    p = DESIGNS[design](np.random.default_rng(0), 200_000)
    low, high = np.percentile(p, [5, 95])
    bend = true_bend(curve, low, high)
    first, last = CURVES[curve](np.array([low, high]))
    gain = last - first
    if gain < -SMALLEST_GAIN:
        return "inverse"
    if abs(bend) > SMALLEST_BEND:
        return "increasing" if bend > 0 else "diminishing"
    return "linear" if gain > SMALLEST_GAIN else "flat"


def true_bend(curve: str, low: float, high: float) -> float:
    first, middle, last = CURVES[curve](np.array([low, (low + high) / 2, high]))
    return float((first + last) / 2 - middle)


def simulate(design: str, curve: str, n: int, repeats: int, **settings: Any) -> Tally:
    """Judge simulated sweeps of ``n`` runs; ``covered`` is of the bend where it was measured."""
    verdicts: Counter[str] = Counter()
    covered = 0
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, n])
        frame = scenario(design, curve, n, rng, **settings)
        (found,) = return_curves(frame, scales=(), resamples=200, seed=repeat).values()
        verdicts[found.verdict] += 1
        true = true_bend(curve, *found.percentiles)
        covered += int(found.bend.low <= true <= found.bend.high)
    return Tally(true_verdict(design, curve), verdicts, covered / repeats)


def simulate_null(
    designs: tuple[str, str], curve: str, n: int, repeats: int, **settings: int
) -> tuple[Tally, Tally]:
    """At equal ID accuracy, and effective robustness; both are 0."""
    verdicts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    covered, compared = np.zeros(2), np.zeros(2)
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, n, 1])
        frame = two_optimizers(designs, curve, n, rng, **settings)
        tables = (
            ood_at_equal_id(frame, least_share=0.02, seed=repeat),
            effective_robustness(frame, "sgd", seed=repeat),
        )
        for i, table in enumerate(tables):
            row = table.iloc[0]
            verdicts[i][row["verdict"]] += 1
            compared[i] += row["verdict"] != "not comparable"
            covered[i] += row["low"] <= 0 <= row["high"]
    shares = covered / np.maximum(compared, 1)
    return (
        Tally("no difference", verdicts[0], shares[0]),
        Tally("no difference", verdicts[1], shares[1]),
    )


SWEEPS = [
    ("even", "line"),
    ("even", "hinge"),
    ("even", "saturating"),
    ("even", "line on the probit axis"),
    ("half crowded at .90", "line"),
    ("half crowded at .90", "flat"),
    ("half crowded at .90", "inverse"),
    ("half crowded at .90", "hinge"),
    ("half crowded at .90", "saturating"),
    ("wide", "bent by just over 1 point"),
    ("wide", "bent by just under 1 point"),
    ("narrow", "line"),
    ("narrow", "slope .6 to 1.4"),
]

NULLS = [
    *((("even", "all crowded at .90"), curve) for curve in ("line", "hinge", "saturating")),
    (("even", "half crowded at .90"), "line"),
    (("wide", "wide"), "hinge"),
]


def rows(repeats: int) -> Iterator[str]:
    yield "| ID accuracies | curve | n | examples | right | not determined | wrong | covered |"
    yield "|---|---|---|---|---|---|---|---|"
    for design, curve in SWEEPS:
        for n, examples in ((24, 359), (100, 359), (500, 168), (500, 359)):
            tally = simulate(design, curve, n, repeats, examples=examples)
            what = f"{curve} ({tally.truth})"
            shares = (tally.right, tally.withheld, tally.wrong, tally.covered)
            cells = " | ".join(f"{share:.0%}" for share in shares)
            yield f"| {design} | {what} | {n} | {examples:,} | {cells} |"
    yield ""
    yield "| ID accuracies of the two | curve | n | wrong, covered: equal ID | robustness |"
    yield "|---|---|---|---|---|"
    for designs, curve in NULLS:
        for n in (100, 500):
            tallies = simulate_null(designs, curve, n, repeats)
            cells = " | ".join(f"{tally.wrong:.0%}, {tally.covered:.0%}" for tally in tallies)
            yield f"| {'; '.join(designs)} | {curve} | {n} | {cells} |"


def main() -> None:
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 200):
        print(row, flush=True)


if __name__ == "__main__":
    main()
