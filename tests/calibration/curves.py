"""Return curves, and optimizers at equal ID accuracy, where the true curve is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

import analysis
from analysis.curves.verdicts import NOT_DETERMINED, SMALLEST_BEND

from .judging import judged
from .rates import COVERAGE, FALSE, Outcomes, Scenario
from .scored import Study, score
from .studies import Array, Design, Runs, noise, optimizers

SPREAD = 0.02
"""Standard deviation of the true OOD accuracy about the curve."""


def even(u: Array) -> Array:
    return 0.55 + 0.4 * u


def crowded(u: Array) -> Array:
    """Half of the runs within a point of .90, the others evenly below."""
    return np.where(u < 0.5, 0.6 + 0.58 * u, 0.89 + 0.02 * (u - 0.5) / 0.5)


def at_the_top(u: Array) -> Array:
    """Nine tenths of the runs between .90 and .94."""
    return np.where(u < 0.1, 0.6 + 3 * u, 0.9 + 0.04 * (u - 0.1) / 0.9)


def narrow(u: Array) -> Array:
    return 0.85 + 0.05 * u


def wide(u: Array) -> Array:
    return 0.3 + 0.6 * u


def line(x: Array) -> Array:
    return 0.8 * x - 0.1


def probit_line(x: Array) -> Array:
    return ndtr(0.9 * ndtri(x) - 0.6)


def hinge(x: Array) -> Array:
    """Slope .3, from .85 on 1.7."""
    return 0.35 + 0.3 * (x - 0.55) + 1.4 * np.clip(x - 0.85, 0, None)


def steeper(x: Array) -> Array:
    """Slope .2 at .55, 1.2 at .95."""
    return 0.3 + 0.2 * (x - 0.55) + 1.25 * (x - 0.55) ** 2


def flatter(x: Array) -> Array:
    """Slope 1.2 at .55, .2 at .95."""
    return 0.3 + 1.2 * (x - 0.55) - 1.25 * (x - 0.55) ** 2


def slight_bend(x: Array) -> Array:
    """Slope .6 at .85, 1.4 at .90: never half a point off its chord."""
    return 0.5 + 0.6 * (x - 0.85) + 8 * (x - 0.85) ** 2


def long_bend(x: Array) -> Array:
    """Two points off its chord from .3 to .9."""
    return 0.1 + 0.3 * (x - 0.3) + 0.27 * (x - 0.3) ** 2


def almost_bent(x: Array) -> Array:
    """Just under one point off its chord from .57 to .93."""
    return 0.2 + 0.5 * (x - 0.55) + 0.304 * (x - 0.55) ** 2


@dataclass(frozen=True)
class Clouds:
    """Optimizers whose runs lie about one true curve.

    Attributes:
        curve: OOD accuracy of a true ID accuracy.
        adaptive, other: Quantile functions of the kinds' true ID accuracies.
        design: Optimizers, draws, examples.
    """

    curve: Callable[[Array], Array]
    adaptive: Callable[[Array], Array]
    other: Callable[[Array], Array]
    design: Design

    def study(self, rng: np.random.Generator) -> Study:
        u = np.broadcast_to(ndtr(noise(self.design, rng)), self.design.shape)
        quantiles = {"adaptive": self.adaptive, "non-adaptive": self.other}
        each = [quantiles[one.kind](u[..., k, :]) for k, one in enumerate(self.design.optimizers)]
        x = np.stack(each, axis=-2)
        y = self.curve(x) + SPREAD * noise(self.design, rng)
        skills = ndtri(x), ndtri(np.clip(y, 0.01, 0.99))
        nothing = np.zeros((*self.design.shape[:-1], 1))
        runs = Runs(self.design, 4 * u - 2, *skills, np.zeros(self.design.shape, bool), nothing)
        return score(runs, rng)


@dataclass(frozen=True)
class AtEqualId:
    """One study of which the differences at equal ID accuracy are read; there are none."""

    clouds: Clouds

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        study = self.clouds.study(rng)
        table = analysis.ood_at_equal_id(study.pairs, predictions=study.predictions, seed=seed)
        return _none(table)


@dataclass(frozen=True)
class BeyondBaseline:
    """One study of which the effective robustness is read; there is none."""

    clouds: Clouds

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        study = self.clouds.study(rng)
        table = analysis.effective_robustness(
            study.pairs, "non-adaptive-0", predictions=study.predictions, seed=seed
        )
        return _none(table.rename(columns={"optimizer": "a", "baseline": "b"}))


def _none(table: pd.DataFrame) -> Outcomes:
    """What is said of optimizers that all lie on one curve."""
    truth = dict.fromkeys([*table["a"], *table["b"]], 0.0)
    compared = np.isfinite(table["low"])
    return {**judged(table, truth), "compared": float(compared.mean())}


@dataclass(frozen=True)
class ReturnType:
    """One study of which the return types are read."""

    clouds: Clouds

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        study = self.clouds.study(rng)
        curves = analysis.return_curves(study.pairs, predictions=study.predictions, seed=seed)
        low, high = self.clouds.other(np.array([0.05, 0.95]))
        right, bend = "linear", self.bend(low, high)
        if abs(bend) > SMALLEST_BEND:
            right = "increasing" if bend > 0 else "diminishing"
        found = [curve for curve in curves.values() if np.isfinite(curve.bend.low)]
        # A curve says between which ID accuracies it bends by so much.
        covered = [one.bend.low <= self.bend(*one.percentiles) <= one.bend.high for one in found]
        return {
            FALSE: np.mean([one.verdict not in (right, NOT_DETERMINED) for one in curves.values()]),
            COVERAGE: np.mean(covered) if found else np.nan,
            "right": np.mean([one.verdict == right for one in curves.values()]),
        }

    def bend(self, low: float, high: float) -> float:
        """How far the true curve lies under its chord, half-way between two ID accuracies."""
        ends = self.clouds.curve(np.array([low, (low + high) / 2, high]))
        return float((ends[0] + ends[2]) / 2 - ends[1])


CURVES = {"a line": line, "a probit line": probit_line, "a hinge": hinge}

SPREADS = {"spread alike": (even, even), "one crowded at the top": (at_the_top, even)}


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    two = optimizers(2)
    for what, read in (("equal ID", AtEqualId), ("effective robustness", BeyondBaseline)):
        for curve, value in CURVES.items():
            for spread, kinds in SPREADS.items():
                for draws in (100, 500):
                    clouds = Clouds(value, *kinds, Design(two, draws))
                    name = f"{what}: 2 optimizers on {curve}, {spread}, {draws} draws"
                    yield Scenario(name, read(clouds), 100)
    types = {
        "a line, spread evenly": (line, even),
        "a line, half crowded at .90": (line, crowded),
        "a hinge": (hinge, even),
        "a probit line": (probit_line, even),
        "steeper by 1": (steeper, even),
        "flatter by 1": (flatter, even),
        "steeper by .8 from .85 to .90": (slight_bend, narrow),
        "bent by 2 points from .3 to .9": (long_bend, wide),
        "bent by just under a point": (almost_bent, even),
    }
    for name, (value, spread) in types.items():
        for draws in (24, 100, 500):
            clouds = Clouds(value, spread, spread, Design(two, draws))
            yield Scenario(f"return type: {name}, {draws} draws", ReturnType(clouds), 100)
    few = Clouds(line, crowded, crowded, Design(two, 500, examples=150))
    name = "return type: a line, half crowded at .90, 500 draws, 150 examples"
    yield Scenario(name, ReturnType(few), 100)
