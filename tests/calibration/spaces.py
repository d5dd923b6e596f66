"""Kinds that differ by their ranges of the learning rate alone: same curve, same ceiling."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

import analysis
from analysis.claims.claim import HOLDS
from analysis.conclusions.claims import THESE, WORSE_OOD

from .rates import Ends, Outcomes, Scenario
from .scored import score
from .studies import KINDS, Design, optimizers, simulate_runs

SPACES = {
    "much too wide": (-6.0, 1.5),
    "with the best rate at its edge": (-3.6, -0.3),
}
"""Of the adaptive optimizers' learning rates, in decades from the best one."""


@dataclass(frozen=True)
class SearchOnly:
    """One study of which the statement that adaptive optimizers are worse is read."""

    design: Design

    def __call__(self, rng: np.random.Generator, seed: int) -> Outcomes:
        study = score(simulate_runs(self.design, rng), rng)
        claims = analysis.conclude(study.pairs, predictions=study.predictions, seed=seed).claims
        mine = claims[(claims["claim"] == WORSE_OOD) & (claims["about"] == THESE)]["verdict"]
        return {
            "holds": float((mine == HOLDS).any()),
            "holds, but not under": float(mine.str.startswith(f"{HOLDS}, but").any()),
        }


WRONG: Mapping[str, Ends] = {"holds": (0.0, 0.10)}


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    four = optimizers(4)
    for name, space in SPACES.items():
        worse = (replace(one, space=space) if one.kind == KINDS[0] else one for one in four)
        design = Design(tuple(worse))
        for draws in (24, 100, 500):
            study = SearchOnly(replace(design, draws=draws))
            yield Scenario(f"adaptive ranges {name}, {draws} draws", study, 50, WRONG)
    for points, draws in ((5, 24), (5, 100), (10, 24), (10, 100)):
        true = Design(four, draws).with_ood(-points, "adaptive-0", "adaptive-1")
        name = f"equal ranges, adaptive worse by {points} points, {draws} draws"
        yield Scenario(name, SearchOnly(true), 50, {})
