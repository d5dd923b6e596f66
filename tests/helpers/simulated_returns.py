"""Simulated sweeps whose return curve is known: how often is the verdict right, wrong, withheld?

``PYTHONPATH=. python tests/helpers/simulated_returns.py`` prints the table of
docs/return-curves.md.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.curves.fitting import fit_return_curve
from analysis.curves.verdicts import SMALLEST_CHANGE

NOISE = 0.07
"""Standard deviation of OOD accuracy around the curve, as a share of the range of ID accuracy."""

LOW, RANGE = 0.6, 0.3
"""ID accuracies lie from .6 to .9."""

Array = np.ndarray
DESIGNS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "even": lambda rng, n: rng.random(n),
    "bell": lambda rng, n: rng.beta(4, 4, n),
    "crowded at the top": lambda rng, n: rng.beta(5, 1.5, n),
}


@dataclass(frozen=True)
class Truth:
    """A curve whose slope changes by ``change``, and the right verdict; ID accuracy from 0 to 1."""

    verdict: str
    value: Callable[[Array], Array]
    change: float


def parabola(verdict: str, slope: float, change: float, design: str) -> Truth:
    """Slope ``slope`` on the way from the 17th to the 83rd percentile, changing by ``change``."""
    x = DESIGNS[design](np.random.default_rng(0), 100_000)
    low, high = np.percentile(x, [17, 83])
    bend, middle = change / (high - low), (low + high) / 2
    return Truth(verdict, lambda x: slope * (x - middle) + bend * (x - middle) ** 2 / 2, change)


@dataclass(frozen=True)
class Tally:
    """Verdicts of many simulated sweeps of one truth, and what the intervals covered."""

    truth: Truth
    verdicts: Counter[str]
    repeats: int
    covered: float

    @property
    def right(self) -> float:
        return self.verdicts[self.truth.verdict] / self.repeats

    @property
    def withheld(self) -> float:
        return self.verdicts["not determined"] / self.repeats

    @property
    def wrong(self) -> float:
        return (
            self.repeats - self.verdicts[self.truth.verdict] - self.verdicts["not determined"]
        ) / self.repeats


def simulate(
    truth: Truth, design: str, n: int, repeats: int, noise: float = NOISE, resamples: int = 200
) -> Tally:
    """Judge ``repeats`` simulated sweeps of ``n`` runs; ``covered`` is of the true change."""
    verdicts: Counter[str] = Counter()
    covered = 0
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, n])
        x = DESIGNS[design](rng, n)
        # OOD accuracy runs over less than [0, 1] for every truth here, with noise too.
        y = 0.5 + RANGE * (truth.value(x) + noise * rng.standard_normal(n))
        curve = fit_return_curve(LOW + RANGE * x, y, scales=(), resamples=resamples, seed=repeat)
        verdicts[curve.verdict] += 1
        covered += int(curve.change.low <= truth.change <= curve.change.high)
    return Tally(truth, verdicts, repeats, covered / repeats)


def truths(design: str) -> dict[str, Truth]:
    """Of every verdict, some of them on the edge of another."""
    d = SMALLEST_CHANGE
    return {
        "increasing by twice the smallest change": parabola("increasing", 0.8, 2 * d, design),
        "diminishing by twice the smallest change": parabola("diminishing", 0.8, -2 * d, design),
        "a line": parabola("linear", 0.8, 0, design),
        "almost increasing": parabola("linear", 0.8, 0.99 * d, design),
        "just diminishing": parabola("diminishing", 0.8, -1.01 * d, design),
        "flat": parabola("flat", 0, 0, design),
        "almost flat": parabola("linear", 0.101, 0, design),
        "inverse": parabola("inverse", -0.4, 0, design),
        "inverse and bent": parabola("inverse", -0.4, 2 * d, design),
    }


def main() -> None:
    print("| ID accuracies | n | truth | right | not determined | wrong | covered |")
    print("|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        for n in (24, 100, 500):
            for name, truth in truths(design).items():
                tally = simulate(truth, design, n, 500)
                shares = (tally.right, tally.withheld, tally.wrong, tally.covered)
                cells = " | ".join(f"{share:.1%}" for share in shares)
                print(f"| {design} | {n} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
