"""Optimizers, and kinds of them, on one dataset."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

import analysis
from analysis.conclusions.recommendation import recommend

from .judging import HALF_WIDTH, judged, judged_widely
from .rates import Ends, Outcomes, Scenario
from .scored import score
from .studies import KINDS, Array, Design, optimizers, simulate_runs
from .truths import expected_ood, population_ood

RESAMPLES = 100
"""Fewer than by default, which makes intervals a little less sure."""

BETTER = "adaptive-0"
"""The optimizer that is better in scenarios with an effect."""


def budget(draws: int) -> int:
    """The one that decides by default: 8, or 4 where that is more than a quarter of the draws."""
    return 8 if draws >= 32 else 4


def by_name(design: Design, values: Array) -> dict[str, float]:
    """Values (optimizers,) of each optimizer, and their mean over each kind."""
    kinds = np.array([one.kind for one in design.optimizers])
    means = {kind: float(values[kinds == kind].mean()) for kind in KINDS if kind in kinds}
    return {one.name: v for one, v in zip(design.optimizers, values, strict=True)} | means


@dataclass(frozen=True)
class Compared:
    """One study in which optimizers, or kinds of them, are compared.

    Attributes:
        design: What is run.
        compare: The function of ``analysis`` that does so.
        widely: Judge what is said of all that these optimizers, or datasets, are a sample of.
    """

    design: Design
    compare: Callable[..., pd.DataFrame] = analysis.compare_optimizers
    widely: bool = False

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        runs = simulate_runs(self.design, rng)
        study = score(runs, rng)
        settings = {"predictions": study.predictions, "resamples": RESAMPLES, "seed": seed}
        # No hyperparameters, no cuts of their ranges: those change no verdict and take time.
        table = self.compare(study.pairs.drop(columns="lr"), **settings)
        table = table[table["score"] == "ood"]
        n = budget(self.design.draws)
        if self.widely:
            return judged_widely(table, by_name(self.design, population_ood(self.design, n)))
        return judged(table, by_name(self.design, expected_ood(runs, n).mean(axis=(0, 1, 2))))


@dataclass(frozen=True)
class Recommended:
    """One study of which the recommendation is read.

    Attributes:
        design: What is run.
        best: The optimizer that is better than all others; empty where all are equal, so that
            naming any of them is false.
    """

    design: Design
    best: str = ""

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        study = score(simulate_runs(self.design, rng), rng)
        settings = {"predictions": study.predictions, "resamples": RESAMPLES, "seed": seed}
        table = analysis.compare_by_class(study.pairs.drop(columns="lr"), **settings)
        (advice,) = recommend(table)
        named = advice.optimizers
        if not self.best:
            return {"one named of equal ones": float(len(named) == 1)}
        return {
            "named alone": float(named == (self.best,)),
            "left out": float(bool(named) and self.best not in named),
        }


@dataclass(frozen=True)
class Narrowed:
    """The interval of 500 draws beside that of 100."""

    design: Design

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        few, many = (
            Compared(replace(self.design, draws=draws))(rng, seed)[HALF_WIDTH]
            for draws in (100, 500)
        )
        return {"half-width at 500 draws, share of that at 100": many / few}


NAMED: Mapping[str, Ends] = {"named alone": (0.5, 1.0), "left out": (0.0, 0.06)}
NONE_NAMED: Mapping[str, Ends] = {"one named of equal ones": (0.0, 0.06)}
NARROW: Mapping[str, Ends] = {"half-width at 500 draws, share of that at 100": (0.0, 0.6)}


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    two, six, twelve = map(optimizers, (2, 6, 12))
    for draws in (24, 100, 500):
        yield Scenario(f"2 equal optimizers, {draws} draws", Compared(Design(two, draws)))
    for examples in (150, 2000):
        design = Design(two, examples=examples)
        yield Scenario(f"the same, 100 draws, {examples:,} examples", Compared(design))
    apart = Design(two, shared_draws=False)
    yield Scenario("the same, 100 draws of each optimizer's own", Compared(apart))
    yield Scenario("the same, 100 draws, 40% lost", Compared(Design(two, lost=0.4)))
    yield Scenario("the same, 100 draws, 30% at chance", Compared(Design(two, chance=0.3)))
    both = Design(two, 24, lost=0.4, chance=0.3)
    yield Scenario("the same, 24 draws, 40% lost, 30% at chance", Compared(both))
    yield Scenario("6 equal optimizers, 100 draws", Compared(Design(six)))
    yield Scenario("12 equal optimizers, 100 draws", Compared(Design(twelve)), 100)
    for draws in (24, 100, 500):
        design = Design(two, draws).with_ood(3, BETTER)
        yield Scenario(f"one of 2 better by 3 points, {draws} draws", Compared(design))
    of_kinds = analysis.compare_kinds
    for draws in (24, 100, 500):
        kinds = Compared(Design(six, draws), of_kinds)
        yield Scenario(f"2 equal kinds of 3 optimizers, {draws} draws", kinds, 100)
    alike = Compared(Design(six, kind_hardness=0.3), of_kinds)
    yield Scenario("the same, 100 draws, a kind shares half of what is hard", alike, 100)
    varied = Design(six, optimizer_effect=2.0)
    for widely, about in ((False, "these optimizers"), (True, "optimizers of these kinds")):
        name = f"2 equal kinds, 3 optimizers each that vary by 2 points: of {about}"
        yield Scenario(name, Compared(varied, of_kinds, widely), 100)
    splits = Compared(Design(six, 32, splits=4, split_effect=3.5), of_kinds, widely=True)
    yield Scenario("2 equal kinds, 4 data splits that vary by 3.5 points", splits, 100)
    best = Design(twelve, 500, examples=2000).with_ood(3, BETTER)
    yield Scenario("one of 12 better by 3 points, 500 draws", Recommended(best, BETTER), 40, NAMED)
    for each in (two, six):
        name = f"{len(each)} equal optimizers, 100 draws: the recommendation"
        yield Scenario(name, Recommended(Design(each)), 100, NONE_NAMED)
    yield Scenario("2 optimizers, 2,000 examples", Narrowed(Design(two, examples=2000)), 10, NARROW)
