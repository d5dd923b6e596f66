"""Simulated studies of which the truth is known: what every run truly scores.

A run has a skill on the probit scale, in and out of distribution: it classifies an example of the
population correctly with probability Phi(skill). In distribution the skill depends on the distance
of the learning rate from the best one and on noise; out of distribution, on the former, on effects
of the optimizer, kind, dataset and split, and on noise of its own.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]

KINDS = ("adaptive", "non-adaptive")
CHANCE = 0.1
AT_CHANCE = float(ndtri(CHANCE))

CEILING = 1.2
"""ID skill at the best learning rate: an accuracy of .885."""

FLAT = 0.4
"""Decades about the best learning rate within which nothing is lost."""

LOSS = 0.5
"""Skill lost at one decade beyond, two decades beyond four times as much."""

SLOPE, GAP = 0.8, -0.55
"""OOD skill = SLOPE * ID skill + GAP: an accuracy of .66 at the ceiling."""

NOISE_ID, NOISE_OOD = 0.10, 0.12
"""Standard deviations of a run's skills."""

OF_DRAW, OF_OPTIMIZER = 0.3, 0.4
"""Shares of the noise's variance: of a draw with every optimizer, and with one on all tasks."""

POINT = 0.01 / 0.37
"""One point of OOD accuracy as a skill, near an accuracy of .65."""


@dataclass(frozen=True)
class Optimizer:
    """One optimizer of a study.

    Attributes:
        name, kind: As in a table of runs.
        space: Ends of its learning rates, in decades from its best one; drawn log-uniformly.
        ood: What it has more of OOD skill than its ID skill gives.
    """

    name: str
    kind: str
    space: tuple[float, float] = (-1.5, 1.5)
    ood: float = 0.0


def optimizers(number: int) -> tuple[Optimizer, ...]:
    """As many of either kind, all equal; the best learning rate is off the middle of each space.

    Every other one has it on the other side, so equal optimizers are helped by different draws.
    """
    off = (-1.2, 1.8), (-1.8, 1.2)
    return tuple(
        Optimizer(f"{KINDS[i % 2]}-{i // 2}", KINDS[i % 2], off[(i + i // 2) % 2])
        for i in range(number)
    )


@dataclass(frozen=True)
class Design:
    """What is trained and scored, and how results vary.

    Attributes:
        optimizers: Which.
        draws: Of each search.
        datasets, environments: Tasks are the environments of each dataset, left out in turn.
        examples: Of validation, ID test and OOD test each, of every dataset.
        shared_draws: Whether draw i is the same for every optimizer and task.
        splits: Values of ``data_seed`` on which each draw is trained.
        lost, chance: Shares of runs that diverge, and that stay at chance.
        kind_hardness: Share of variance that an example has with the runs of one kind alone; see
            ``scored.HARDNESS``.
        optimizer_effect: Standard deviation of OOD skill over optimizers, in points of accuracy.
        dataset_effect, split_effect: Likewise of the difference of the two kinds, over datasets
            and over splits.
    """

    optimizers: tuple[Optimizer, ...]
    draws: int = 100
    datasets: int = 1
    environments: int = 1
    examples: int = 359
    shared_draws: bool = True
    splits: int = 1
    lost: float = 0.0
    chance: float = 0.0
    kind_hardness: float = 0.1
    optimizer_effect: float = 0.0
    dataset_effect: float = 0.0
    split_effect: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Datasets, environments, splits, optimizers, draws."""
        return (*(self.datasets, self.environments, self.splits), len(self.optimizers), self.draws)

    def with_ood(self, points: float, *names: str) -> "Design":
        """The same with these optimizers better out of distribution by so many points."""
        better = (
            replace(one, ood=one.ood + points * POINT) if one.name in names else one
            for one in self.optimizers
        )
        return replace(self, optimizers=tuple(better))


@dataclass(frozen=True)
class Runs:
    """Every run of one study; all arrays are broadcast from (or to) ``Design.shape``.

    Attributes:
        design: What was trained.
        lr: Learning rates, in decades from the optimizer's best.
        id, ood: Skills.
        lost: Which diverged.
        effects: (datasets, environments, splits, optimizers, 1): the part of the OOD skill that
            this study's datasets, splits and optimizers happen to have.
    """

    design: Design
    lr: Array
    id: Array
    ood: Array
    lost: NDArray[np.bool_]
    effects: Array


def simulate_runs(design: Design, rng: np.random.Generator) -> Runs:
    """The runs of one study."""
    low, high = np.array([one.space for one in design.optimizers]).T[:, :, None]
    lr = low + (high - low) * _of_draws(design, rng.random)
    beyond = np.clip(np.abs(lr) - FLAT, 0, None)
    skill = CEILING - LOSS * beyond**2 + NOISE_ID * noise(design, rng)
    untrained = noise(design, rng) < ndtri(design.chance)
    skill = np.where(untrained, AT_CHANCE, np.maximum(skill, AT_CHANCE))
    effects = _effects(design, rng)
    own = np.array([one.ood for one in design.optimizers])[:, None]
    ood = GAP + SLOPE * skill + own + effects + NOISE_OOD * noise(design, rng)
    ood = np.where(untrained, AT_CHANCE, ood)
    lost = noise(design, rng) < ndtri(design.lost)
    return Runs(design, np.broadcast_to(lr, design.shape), skill, ood, lost, effects)


def _of_draws(design: Design, drawn):
    """Something that each draw has by itself."""
    *_, draws = design.shape
    return drawn((1, 1, 1, 1, draws)) if design.shared_draws else drawn(design.shape)


def noise(design: Design, rng: np.random.Generator) -> Array:
    """Standard normal for each run, correlated between runs of one draw."""
    *tasks, optimizers, draws = design.shape
    drawn = rng.standard_normal
    one = (1, 1, 1) if design.shared_draws else tuple(tasks)
    parts = (
        np.sqrt(OF_DRAW) * _of_draws(design, drawn),
        np.sqrt(OF_OPTIMIZER) * drawn((*one, optimizers, draws)),
        np.sqrt(1 - OF_DRAW - OF_OPTIMIZER) * drawn(design.shape),
    )
    return sum(parts)


def _effects(design: Design, rng: np.random.Generator) -> Array:
    datasets, _, splits, optimizers, _ = design.shape
    side = np.array([0.5 if one.kind == KINDS[0] else -0.5 for one in design.optimizers])[:, None]
    of_optimizer = design.optimizer_effect * rng.standard_normal((1, 1, 1, optimizers, 1))
    of_dataset = design.dataset_effect * rng.standard_normal((datasets, 1, 1, 1, 1))
    of_split = design.split_effect * rng.standard_normal((datasets, 1, splits, 1, 1))
    effects = POINT * (of_optimizer + side * (of_dataset + of_split))
    return np.broadcast_to(effects, (*design.shape[:4], 1))
