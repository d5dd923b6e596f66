"""What to try next: Optuna's samplers on our search spaces."""

from collections.abc import Mapping
from typing import Any

from oodbench.records import Scalar
from oodbench.seeds import seed_of
from oodbench.spaces import Choice, Range, Space, parse

SAMPLERS = ("random",)
"""Samplers whose whole design is drawn when a sweep is created."""


def draw(space: Space, n: int, seed: int) -> list[dict[str, Scalar]]:
    """The first ``n`` configurations of a random search.

    Every hyperparameter has a sampler of its own, seeded by its name: adding a hyperparameter or
    more trials changes no value, and optimizers that share a range share its values.

    Args:
        space: Hyperparameter -> range or choice.
        n: How many.
        seed: Of the search.
    """
    columns = {name: _column(name, space[name], n, seed) for name in sorted(space)}
    return [{name: column[i] for name, column in columns.items()} for i in range(n)]


EDGE = 0.05
"""The outer 5% of a range, on its own scale, are its edge."""


def at_edge(space: Mapping[str, Any], hparams: Mapping[str, Any]) -> list[str]:
    """The hyperparameters that lie at the edge of their range, each as ``lr = 0.98 in [0.001, 1]``.

    Args:
        space: A search space as YAML has it.
        hparams: Values by name; others are ignored.
    """
    found = []
    for name, text in space.items():
        what = parse(text)
        if isinstance(what, Range) and not EDGE <= what.position(hparams[name]) <= 1 - EDGE:
            found.append(f"{name} = {hparams[name]:.4g} in [{what.low:g}, {what.high:g}]")
    return found


def _column(name: str, what: Range | Choice, n: int, seed: int) -> list[Scalar]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=seed_of(seed, "search", name) % 2**32)
    study, trial = optuna.create_study(sampler=sampler), optuna.trial.create_trial(value=0.0)
    distribution = what.distribution()
    return [
        what.value(sampler.sample_independent(study, trial, name, distribution)) for _ in range(n)
    ]
