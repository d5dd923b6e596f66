"""What the product estimates, known from a simulation far larger than any study.

The estimand is the expected OOD accuracy, on the population of examples, of the run that is
selected among n draws by its accuracy on a sample of validation examples.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from .scored import correct_of, hardness_of
from .studies import KINDS, POINT, Array, Design, Optimizer, Runs, simulate_runs

NO_MODEL = 0.0
"""What a search is worth that lost all of its runs."""

SAMPLES, SEARCHES = 100, 100
"""Samples of validation examples, and searches that each selects a run for."""


def expected_ood(runs: Runs, n: int, none: float = NO_MODEL) -> Array:
    """The estimand for every task and optimizer of one study, with the effects that it has.

    Args:
        runs: The study.
        n: Draws of a search.
        none: What counts where all n are lost.

    Returns:
        (datasets, environments, splits, optimizers).
    """
    truth = np.empty(runs.effects.shape[:-1])
    for k, one in enumerate(runs.design.optimizers):
        skills = selected_ood(_canonical(one), _alone(runs.design), n)
        effects, where = np.unique(runs.effects[..., k, 0], return_inverse=True)
        scores = ndtr(skills + effects[:, None])
        scores = np.where(np.isnan(scores), none, scores).mean(axis=1)
        truth[..., k] = scores[where].reshape(truth.shape[:-1])
    return truth


def population_ood(design: Design, n: int, none: float = NO_MODEL) -> Array:
    """The estimand for each optimizer, (optimizers,), on average over all that effects vary with.

    It is that of optimizers of its kind, on datasets of this class and splits of them.
    """
    points = [design.optimizer_effect, design.dataset_effect / 2, design.split_effect / 2]
    spread = np.sqrt(1 + np.sum(np.square(points)) * POINT**2)
    each = (selected_ood(_canonical(one), _alone(design), n) for one in design.optimizers)
    scores = (ndtr(skills / spread) for skills in each)
    return np.array([np.where(np.isnan(score), none, score).mean() for score in scores])


def _canonical(one: Optimizer) -> Optimizer:
    """One that scores alike, so that equal truths are the same number: a skill does not depend on
    the side of the best learning rate on which a run lies."""
    low, high = sorted(one.space, key=abs)
    return replace(one, name="", kind=KINDS[0], space=(low, high) if low < high else (-low, -high))


def _alone(design: Design) -> Design:
    """What matters for one optimizer on one task, without any effects."""
    alone = {"optimizers": (), "draws": 0, "datasets": 1, "environments": 1, "splits": 1}
    effects = {"optimizer_effect": 0.0, "dataset_effect": 0.0, "split_effect": 0.0}
    return replace(design, **alone, **effects, shared_draws=True)


@lru_cache(maxsize=1000)
def selected_ood(optimizer: Optimizer, design: Design, n: int) -> Array:
    """OOD skills of the runs that many searches select; NaN where all n were lost.

    Args:
        optimizer: Whose searches.
        design: Of which the examples and the shares of lost and untrained runs count.
        n: Draws of each search.
    """
    design = replace(design, optimizers=(optimizer,), draws=SEARCHES * n)
    rng = np.random.default_rng(0)
    chosen = []
    for _ in range(SAMPLES):
        runs = simulate_runs(design, rng)
        hardness = hardness_of(design, design.examples, rng)
        correct = correct_of(runs.id[0, 0, 0], hardness, design, rng)
        # Ties go to any of them.
        rank = correct.sum(axis=1) + rng.random(design.draws)
        rank = np.where(runs.lost.ravel(), -1.0, rank).reshape(-1, n)
        best = rank.argmax(axis=1)[:, None]
        skill = np.take_along_axis(runs.ood.reshape(-1, n), best, axis=1)[:, 0]
        chosen.append(np.where(rank.max(axis=1) < 0, np.nan, skill))
    return np.concatenate(chosen)
