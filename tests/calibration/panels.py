"""Optimizers and kinds on one dataset."""

from functools import partial

import numpy as np

import analysis

from .judging import call, judged
from .rates import Outcomes, Scenario
from .scored import score
from .studies import KINDS, Design, optimizers, simulate_runs
from .truths import expected_ood


def headline(draws: int) -> int:
    """The largest of 8 and 4 that is no more than a quarter of the draws."""
    return 8 if draws >= 32 else 4


def of_optimizers(design: Design, rng: np.random.Generator, seed: int, budget=None) -> Outcomes:
    runs = simulate_runs(design, rng)
    study = score(runs, rng)
    n = budget or headline(design.draws)
    table = call(analysis.compare_optimizers, study, budget=n, seed=seed)
    names = [one.name for one in design.optimizers]
    truth = dict(zip(names, expected_ood(runs, n).mean(axis=(0, 1, 2)), strict=True))
    return judged(table, truth)


def of_kinds(design: Design, rng: np.random.Generator, seed: int, budget=None) -> Outcomes:
    runs = simulate_runs(design, rng)
    study = score(runs, rng)
    n = budget or headline(design.draws)
    table = call(analysis.compare_kinds, study, budget=n, seed=seed)
    return judged(table, of_each_kind(design, expected_ood(runs, n).mean(axis=(0, 1, 2))))


def of_each_kind(design: Design, truth) -> dict[str, float]:
    kinds = np.array([one.kind for one in design.optimizers])
    return {kind: float(truth[kinds == kind].mean()) for kind in KINDS}

NAME = "adaptive-0"

def scenarios():
    for draws in (24, 100, 500):
        yield Scenario(f"null, 2 optimizers, {draws} draws", partial(of_optimizers, Design(optimizers(2), draws)))
        yield Scenario(f"3 points, 2 optimizers, {draws} draws", partial(of_optimizers, Design(optimizers(2), draws).with_ood(3, NAME)))
    for examples in (150, 2000):
        yield Scenario(f"null, 2 optimizers, 100 draws, {examples} examples", partial(of_optimizers, Design(optimizers(2), 100, examples=examples)))
    yield Scenario("null, 2, 100, independent draws", partial(of_optimizers, Design(optimizers(2), 100, shared_draws=False)))
    for many in (6, 12):
        yield Scenario(f"null, {many}, 100", partial(of_optimizers, Design(optimizers(many), 100)), 100)
    yield Scenario("null, 2, 100, 40% lost", partial(of_optimizers, Design(optimizers(2), 100, lost=.4)))
    yield Scenario("null, 2, 100, 30% chance", partial(of_optimizers, Design(optimizers(2), 100, chance=.3)))
    for draws in (24, 100, 500):
        yield Scenario(f"null, kinds of 6, {draws}", partial(of_kinds, Design(optimizers(6), draws)), 100)
