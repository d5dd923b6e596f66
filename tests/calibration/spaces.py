"""Statements that only the ranges of learning rates make: same curve, same ceiling."""

from dataclasses import replace
from functools import partial

import numpy as np

import analysis
from analysis.conclusions.conclude import WORSE_OOD

from .judging import call
from .rates import Outcomes, Scenario
from .scored import score
from .studies import KINDS, Design, optimizers, simulate_runs

SPACES = {
    "too wide": (-4.5, 1.5),
    "the best rate at its edge": (-3.6, -0.3),
    "beside the best rate": (-3.0, -0.8),
}


def search_only(design: Design, rng: np.random.Generator, seed: int) -> Outcomes:
    """How often the kind with the worse spaces is called worse."""
    study = score(simulate_runs(design, rng), rng)
    claims = call(analysis.conclude, study, seed=seed).claims
    mine = claims[claims["claim"] == WORSE_OOD]
    return {"called holds": float((mine["verdict"] == "holds").any()), "but": float(mine["verdict"].str.startswith("holds, but").any())}


def with_space(design: Design, space) -> Design:
    each = (
        replace(one, space=space) if one.kind == KINDS[0] else one for one in design.optimizers
    )
    return replace(design, optimizers=tuple(each))


def scenarios():
    for name, space in SPACES.items():
        for draws in (24, 100, 500):
            yield Scenario(f"{name}, {draws} draws", partial(search_only, with_space(Design(optimizers(6), draws), space)))
