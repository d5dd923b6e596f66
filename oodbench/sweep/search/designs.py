"""Designs: configurations that do not depend on results, drawn before any is trained."""

import json
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from oodbench.errors import RequestError
from oodbench.records import Scalar
from oodbench.seeds import seed_of
from oodbench.spaces import Space, parse

MOST = 100_000
"""Points of a grid, at most."""


def draw(space: Space, n: int, seed: int) -> list[dict[str, Scalar]]:
    """The first ``n`` configurations of a random search.

    Every hyperparameter has a sampler of its own, seeded by its name: adding a hyperparameter or
    more trials changes no value, and optimizers that share a range share its values.

    Args:
        space: Hyperparameter -> range or choice.
        n: How many.
        seed: Seed of the search.
    """
    columns = {
        name: _column(name, json.dumps(space[name].to_yaml()), n, seed) for name in sorted(space)
    }
    return [{name: column[i] for name, column in columns.items()} for i in range(n)]


def sobol(space: Space, n: int, seed: int) -> list[dict[str, Scalar]]:
    """The first ``n`` points of a scrambled Sobol sequence over the space (Owen 1998).

    They cover the space more evenly than random ones. The first ``n`` of twice as many are the
    same; but unlike in a random search, one hyperparameter more changes the others' values.

    Raises:
        RequestError: If ``n`` is no power of two, where the points are not balanced.
    """
    from scipy.stats import qmc

    if n & (n - 1):
        raise RequestError(f"The qmc sampler needs a power of two trials, but got {n}.")
    names = sorted(space)
    generator = np.random.default_rng(seed_of(seed, "search", "qmc"))
    points = qmc.Sobol(len(names), scramble=True, seed=generator).random_base2(n.bit_length() - 1)
    return [{name: space[name].at(u) for name, u in zip(names, p, strict=True)} for p in points]


def grid(space: Space, points: int) -> list[dict[str, Scalar]]:
    """Every combination of ``points`` values of each range and all values of each choice.

    Raises:
        RequestError: If there are more than ``MOST`` combinations.
    """
    values = {name: space[name].spread(points) for name in sorted(space)}
    total = prod(map(len, values.values()))
    if total > MOST:
        raise RequestError(
            f"The grid has {total:,} points over {', '.join(values)}; at most {MOST:,} are drawn. "
            "Fix some hyperparameters (lr: 0.1) or lower search.points."
        )
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


@lru_cache(maxsize=64)
def _column(name: str, text: str, n: int, seed: int) -> tuple[Scalar, ...]:
    """Values of a hyperparameter, from the JSON of its range: studies of a sweep share many."""
    import optuna

    what = parse(json.loads(text))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=seed_of(seed, "search", name) % 2**32)
    study, trial = optuna.create_study(sampler=sampler), optuna.trial.create_trial(value=0.0)
    distribution = what.distribution()
    return tuple(
        what.value(sampler.sample_independent(study, trial, name, distribution)) for _ in range(n)
    )
