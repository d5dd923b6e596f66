"""The ranks of a leaderboard: whether all of them hold, and how many are decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

import analysis

from .panels import RESAMPLES, budget
from .rates import Ends, Outcomes, Scenario
from .scored import score
from .studies import Design, optimizers, simulate_runs
from .truths import expected_ood

HOLD = "all ranks hold"
NOMINAL: Mapping[str, Ends] = {HOLD: (0.94, 1.0)}
TIED = 1e-6
"""Accuracies that differ by less are equal: the truth is computed."""


@dataclass(frozen=True)
class Ranked:
    """One study on a leaderboard.

    Attributes:
        design: What is run.
    """

    design: Design

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        runs = simulate_runs(self.design, rng)
        study = score(runs, rng)
        names = [one.name for one in self.design.optimizers]
        n = budget(self.design.draws)
        board = analysis.leaderboard(
            study.pairs.drop(columns="lr"),
            names[0],
            predictions=study.predictions,
            budget=n,
            resamples=RESAMPLES,
            seed=seed,
        )
        truth = expected_ood(runs, n).mean(axis=(0, 1, 2))
        ranks = board.cells.set_index("optimizer").loc[names, ["rank_low", "rank_high"]].to_numpy()
        first = 1 + (truth[:, None] < truth - TIED).sum(axis=1)
        last = len(names) - (truth[:, None] > truth + TIED).sum(axis=1)
        return {
            HOLD: float((ranks[:, 0] <= first).all() and (last <= ranks[:, 1]).all()),
            "a rank is decided": float((ranks[:, 0] == ranks[:, 1]).mean()),
        }


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    five = Design(optimizers(5))
    names = [one.name for one in five.optimizers]
    steps = five
    for k, name in enumerate(names):
        steps = steps.with_ood(3.0 * k, name)
    yield Scenario("5 equal optimizers, 100 draws", Ranked(five), 200, NOMINAL)
    best = five.with_ood(5, names[0])
    yield Scenario("one of 5 better by 5 points, 100 draws", Ranked(best), 200, NOMINAL)
    yield Scenario("5 optimizers, 3 points apart each, 100 draws", Ranked(steps), 200, NOMINAL)
