"""Optimizers and kinds on average over datasets and environments."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import analysis

from .judging import judged, judged_widely
from .panels import RESAMPLES, budget, by_name
from .rates import Outcomes, Scenario
from .scored import score
from .studies import Design, optimizers, simulate_runs
from .truths import expected_ood, population_ood


@dataclass(frozen=True)
class Averaged:
    """One study in which optimizers, or kinds of them, are compared over all tasks.

    Attributes:
        design: What is run.
        kinds: Compare kinds, not optimizers.
        widely: Judge what is said of all datasets of this class.
    """

    design: Design
    kinds: bool = False
    widely: bool = False

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        runs = simulate_runs(self.design, rng)
        study = score(runs, rng)
        table = analysis.compare_across(
            study.pairs,
            by="kind" if self.kinds else "optimizer",
            predictions=study.predictions,
            resamples=RESAMPLES,
            seed=seed,
        )
        table = table[table["score"] == "ood"]
        n = budget(self.design.draws)
        if self.widely:
            return judged_widely(table, by_name(self.design, population_ood(self.design, n)))
        return judged(table, by_name(self.design, expected_ood(runs, n).mean(axis=(0, 1, 2))))


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    two, four = optimizers(2), optimizers(4)
    places = {
        "4 datasets": (4, 1),
        "8 datasets": (8, 1),
        "1 dataset, 4 environments": (1, 4),
        "2 datasets, 4 environments each": (2, 4),
    }
    for place, (datasets, environments) in places.items():
        for shared in (True, False):
            design = Design(two, 64, datasets, environments, shared_draws=shared)
            how = "the same draws" if shared else "draws of their own"
            yield Scenario(f"2 equal optimizers, {place}, {how}", Averaged(design), 150)
    better = Design(two, 64, 4).with_ood(3, "adaptive-0")
    yield Scenario("one of 2 better by 3 points, 4 datasets", Averaged(better), 150)
    lost = Design(two, 64, 4, lost=0.4, chance=0.3)
    yield Scenario("2 equal optimizers, 4 datasets, 40% lost, 30% at chance", Averaged(lost), 150)
    for datasets in (3, 8):
        for widely, about in ((False, "these datasets"), (True, "datasets of this class")):
            design = Design(four, 64, datasets, dataset_effect=2.0)
            compared = Averaged(design, kinds=True, widely=widely)
            name = f"2 equal kinds, {datasets} datasets that vary by 2 points: of {about}"
            yield Scenario(name, compared, 150)
