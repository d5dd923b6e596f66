"""What a sweep would take, from its file alone: models, GPU hours, disk. No data are needed."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

from oodbench.optimizers import OPTIMIZERS
from oodbench.sweep import SweepSpec
from oodbench.sweep.entries import AlgorithmEntry, DatasetEntry, OptimizerEntry
from oodbench.sweep.search import grid
from oodbench.sweep.settings import Train

RUN_BYTES, MEASUREMENT_BYTES = 2200, 100
"""What SQLite needs for a run, and for each of its measurements, with the indices: the most that
was found among databases of 1,000 to 20,000 runs (1,500 to 2,200, and 92 to 100)."""
FORWARD = 1 / 3
"""Cost of scoring an example, a forward pass; training needs a backward one of twice that too."""
PUBLISHED = 60
"""Measurements of an evaluation on published splits, about: several metrics, and groups."""
HELD_OUT = 0.4
"""Share of a training environment that is validation and test examples, at most."""


@dataclass(frozen=True)
class Estimate:
    """What the studies of one dataset in a sweep would take.

    Attributes:
        sweep: Name of the sweep.
        dataset: Name of the dataset.
        studies: How many.
        models: How many, on all splits of the data, retrained winners among them.
        seconds: Seconds of one GPU, at the rate that the sweep file states, or of training
            alone by timed steps; None: neither is known, or with a rate it gives epochs, whose
                steps
            depend on the data, or how many examples are scored is not known.
        cache: Bytes of decoded images, 0: none are decoded; None: how many is not known.
        partly: Whether ``cache`` leaves out images whose number is not known.
        database: Bytes, about.
    """

    sweep: str
    dataset: str
    studies: int
    models: int
    seconds: float | None
    cache: int | None
    database: int
    partly: bool = False


Timed = Mapping[tuple[str, str], float]
"""Dataset, algorithm -> seconds to train one model with one gradient a step."""


def estimate(spec: SweepSpec, timed: Timed = MappingProxyType({})) -> list[Estimate]:
    """What each dataset of a sweep would take. Nothing is read but the sweep file.

    Args:
        spec: The sweep.
        timed: What is known where the sweep file states no rate.
    """
    return [_of_dataset(spec, dataset, timed) for dataset in spec.datasets]


def on_replicas(spec: SweepSpec) -> dict[int, int]:
    """How many models have how many replicas, the fewest first; without those that have none."""
    found: Counter[int] = Counter()
    for dataset in spec.datasets:
        for _, algorithm, optimizer in _cells(spec, dataset):
            replicas = OPTIMIZERS.get(optimizer.name).replicas
            found[replicas] += _models(spec, algorithm, optimizer, dataset)
    return {replicas: found[replicas] for replicas in sorted(found) if replicas > 1}


def _of_dataset(spec: SweepSpec, dataset: DatasetEntry, timed: Timed) -> Estimate:
    cells = list(_cells(spec, dataset))
    models = [_models(spec, algorithm, optimizer, dataset) for _, algorithm, optimizer in cells]
    costs = [
        _seconds(spec, dataset, *cell) if spec.rate else _timed(dataset, *cell[1:], timed)
        for cell in cells
    ]
    known = [n * cost for n, cost in zip(models, costs, strict=True) if cost is not None]
    rows = [_measurements(spec, dataset, algorithm) for _, algorithm, _ in cells]
    sizes = [RUN_BYTES + MEASUREMENT_BYTES * row for row in rows]
    return Estimate(
        sweep=spec.name,
        dataset=dataset.name,
        studies=len(cells),
        models=sum(models),
        seconds=sum(known) if len(known) == len(costs) else None,
        cache=_cache(dataset),
        database=sum(n * size for n, size in zip(models, sizes, strict=True)),
        partly=bool(dataset.about.apart),
    )


def _cells(
    spec: SweepSpec, dataset: DatasetEntry
) -> Iterator[tuple[tuple[int, ...], AlgorithmEntry, OptimizerEntry]]:
    return product(dataset.turns(), spec.algorithms, spec.contestants)


def _models(
    spec: SweepSpec, algorithm: AlgorithmEntry, optimizer: OptimizerEntry, dataset: DatasetEntry
) -> int:
    """The number of models that a study trains."""
    drawn = spec.search.at_most
    if spec.search.sampler == "grid":
        train = spec.train_of(dataset, algorithm)
        drawn = len(grid(spec.space_of(train, algorithm, optimizer), spec.search.points or 0))
    again = min(spec.confirm.top, drawn) * spec.confirm.seeds if spec.confirm else 0
    return (drawn * spec.seeds + again) * spec.data_seeds


def _evaluations(train: Train) -> int:
    """The evaluations of one model; mixtures of weights are evaluated like checkpoints.

    Epochs are taken for the default, five evaluations.
    """
    steps = train.steps or 5
    every = train.evaluate_every if train.steps else None
    return math.ceil(steps / (every or max(1, steps // 5))) + len(set(train.wise_ft or ()))


def _timed(
    dataset: DatasetEntry, algorithm: AlgorithmEntry, optimizer: OptimizerEntry, timed: Timed
) -> float | None:
    """Seconds to train one model, from a timed step."""
    one = timed.get((dataset.name, algorithm.name))
    return None if one is None else one * _gradients(optimizer)


def _gradients(optimizer: OptimizerEntry) -> int:
    """The gradients that one step of the optimizer takes."""
    spec = OPTIMIZERS.get(optimizer.name)
    return spec.evaluations * spec.replicas


def _seconds(
    spec: SweepSpec,
    dataset: DatasetEntry,
    turn: tuple[int, ...],
    algorithm: AlgorithmEntry,
    optimizer: OptimizerEntry,
) -> float | None:
    """Seconds to train and to score one model, from the machine's rate."""
    train = spec.train_of(dataset, algorithm)
    about = dataset.about
    if spec.rate is None or train.steps is None or not about.examples or about.published:
        return None
    sizes = [float(size) for size in train.batch.sizes.values]
    trained = about.trained(turn)
    batch = sum(sizes) / len(sizes) * (trained if train.batch.size is None else 1)
    gradients = _gradients(optimizer)
    held = len(about.environments) - trained + HELD_OUT * trained
    scored = about.examples * (1 if about.apart else held / len(about.environments))
    seen = train.steps * batch * gradients
    seen += FORWARD * scored * _evaluations(train)
    return seen / spec.rate.examples_per_second


def _measurements(spec: SweepSpec, dataset: DatasetEntry, algorithm: AlgorithmEntry) -> int:
    """The measurements of one run: the loss and at most two splits per environment each time."""
    times = _evaluations(spec.train_of(dataset, algorithm))
    about = dataset.about
    return times * (PUBLISHED if about.published else 2 * len(about.environments) + 1)


def _cache(dataset: DatasetEntry) -> int | None:
    about = dataset.about
    if not about.decodes:
        return 0
    size = dataset.options.get("size", about.options["size"])
    return about.examples * 3 * size**2 if about.examples else None
