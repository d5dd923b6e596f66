"""Optimizers and kinds on average over datasets and environments that share their draws."""

from functools import partial

import numpy as np

import analysis

from .judging import call, judged
from .panels import headline, of_each_kind
from .rates import Outcomes, Scenario
from .scored import score
from .studies import Design, optimizers, simulate_runs
from .truths import expected_ood, population_ood


def across(design: Design, rng: np.random.Generator, seed: int, by: str = "optimizer", population=False) -> Outcomes:
    runs = simulate_runs(design, rng)
    study = score(runs, rng)
    n = headline(design.draws)
    table = call(analysis.compare_across, study, by=by, budget=n, seed=seed)
    each = population_ood(design, n) if population else expected_ood(runs, n).mean(axis=(0, 1, 2))
    names = [one.name for one in design.optimizers]
    truth = dict(zip(names, each, strict=True)) if by == "optimizer" else of_each_kind(design, each)
    return judged(table, truth)

def scenarios():
    for d, e in ((4, 1), (8, 1), (1, 4), (2, 4)):
        for shared in (True, False):
            yield Scenario(f"null 2 optimizers 64 draws {d} datasets {e} environments shared={shared}", partial(across, Design(optimizers(2), 64, d, e, shared_draws=shared)))
    yield Scenario(f"null 2 optimizers 64 draws 4 datasets 2000", partial(across, Design(optimizers(2), 64, 4, 1, examples=2000)))
    yield Scenario(f"dataset effects 3 datasets kinds of 4, these", partial(across, Design(optimizers(4), 100, 3, dataset_effect=2),by='kind'))
    yield Scenario(f"dataset effects 3 datasets kinds of 4, population", partial(across, Design(optimizers(4), 100, 3, dataset_effect=2),by='kind',population=True))
    yield Scenario(f"optimizer effects, kinds of 6 1 dataset, population", partial(across, Design(optimizers(6), 100, 1, optimizer_effect=2),by='kind',population=True))
    yield Scenario(f"split effect, 4 splits population", partial(across, Design(optimizers(6), 64, 1, splits=4, split_effect=3.5),by='kind',population=True))
