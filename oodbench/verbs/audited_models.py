"""The small models that an audit is made of: several kinds and optimizers, at random settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.records import LAST, RunRecord, Trial
from oodbench.results.predictions import Predictions, examples_of
from oodbench.sweep.plan import plan
from oodbench.sweep.search.designs import MOST
from oodbench.training import Saving
from oodbench.workers.place import find_device
from oodbench.workers.trainer import Trainer
from oodbench.workers.worker_settings import WorkerSettings

OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
STACK = 64
"""Models trained together."""
STEPS = (100, 150, 300)
"""Training steps of each kind of model, the linear one first."""
PER_ENVIRONMENT = 32
"""Examples of a step."""


@dataclass(frozen=True)
class Kind:
    """One shape of model.

    Attributes:
        model: Model as in a sweep file.
        steps: Steps of training.
        linear: Whether it is linear in its inputs, or in the features of a frozen backbone.
    """

    model: Mapping[str, Any]
    steps: int
    linear: bool


@dataclass(frozen=True)
class Audited:
    """What the models of one choice of test environments left.

    Attributes:
        test_environments: Indices.
        predictions: Predictions of those that completed.
        linear: Whether each of these is linear.
        trials: One of each kind of model.
        diverged: How many have no predictions.
    """

    test_environments: tuple[int, ...]
    predictions: Predictions
    linear: tuple[bool, ...]
    trial: Trial
    diverged: int


def kinds_for(spec: DatasetSpec, options: Mapping[str, Any], model: str | None) -> tuple[Kind, ...]:
    """A linear model, and two that are not: heads on frozen features of images and texts.

    Args:
        spec: The dataset.
        options: Options of the dataset, in place of its defaults.
        model: Name of a backbone for the features; None: a small one.
    """
    encoder = {**spec.options, **options}.get("encoder", "none")
    if encoder not in ("none", None):
        body = {"name": model or "text_encoder", "encoder": encoder, "pool": "mean"}
    elif model or spec.decodes:
        body = {"name": model or "efficientnet_lite0"}
    else:
        body = {"name": "mlp"}
    known = MODELS.get(body["name"]).defaults
    if "train" in known:
        head = {**body, "train": "head"}
        shapes = [head, {**head, "hidden": 16}, {**head, "hidden": 64}]
    elif "width" in known:
        shapes = [{"name": "linear"}, {**body, "width": 16, "depth": 1}, {**body, "width": 64}]
    else:
        shapes = [{"name": "linear"}, body, body]
    linear = (True, False, False)
    return tuple(map(Kind, shapes, STEPS, linear))


def trials_of(
    dataset: str,
    options: Mapping[str, Any],
    test_environments: Any,
    kind: Kind,
    number: int,
    seed: int,
    data_seed: int,
) -> dict[tuple[int, ...], list[Trial]]:
    """Make so many trials for each choice of test environments.

    Each draw of the search goes to one optimizer, in turn: no two models share one.
    """
    batch = {"per_environment": PER_ENVIRONMENT}
    where = {} if test_environments is None else {"test_environments": test_environments}
    planned = plan(
        {
            "name": "audit",
            "datasets": [{"name": dataset, **options, **where}],
            "algorithms": ["erm"],
            "optimizers": list(OPTIMIZERS),
            "model": dict(kind.model),
            "search": {"sampler": "random", "trials": number, "seed": seed},
            "train": {"steps": kind.steps, "batch": batch, "evaluate_every": kind.steps},
            "data_seed": data_seed,
        }
    )
    found: dict[tuple[int, ...], list[Trial]] = {}
    for study in planned.studies:
        mine = found.setdefault(study.test_environments, [])
        mine += study.trials[OPTIMIZERS.index(study.optimizer) :: len(OPTIMIZERS)]
    return found


def audited(
    dataset: str,
    options: Mapping[str, Any],
    test_environments: Sequence[int] | None,
    *,
    model: str | None,
    models: int,
    seed: int,
    data_seed: int,
    device: str,
    tell: Callable[[str], None],
) -> Iterator[Audited]:
    """Train the models of each choice of test environments, one choice after the other.

    Args: as for ``oodbench.audit``.

    Raises:
        RequestError: The dataset or a model cannot be built, or too few models completed.
    """
    kinds = kinds_for(DATASETS.get(dataset).resolved(options), options, model)
    if not len(kinds) * len(OPTIMIZERS) <= models <= MOST:
        raise RequestError(
            f"models must be between {len(kinds) * len(OPTIMIZERS)} (one of each kind and "
            f"optimizer) and {MOST:,}, but got {models}."
        )
    turns = _turns(dataset, options, test_environments)
    trainer = Trainer(find_device(device), WorkerSettings(device=device, stack=STACK))
    numbers = [len(part) for part in np.array_split(np.arange(models), len(kinds))]
    drawn = [
        trials_of(dataset, options, turns, kind, number, seed + len(kinds) * i, data_seed)
        for i, (kind, number) in enumerate(zip(kinds, numbers, strict=True))
    ]
    for choice in drawn[0]:
        records: list[RunRecord] = []
        linear: list[bool] = []
        for kind, trials in zip(kinds, drawn, strict=True):
            mine = trials[choice]
            kept = Saving(predictions={trial.id: (LAST,) for trial in mine})
            records += trainer.train(mine, lambda: None, kept)
            linear += [kind.linear] * len(mine)
        tell(f"{dataset}, test environments {list(choice)}: {len(records)} models")
        yield _left(choice, records, linear)


def _turns(
    dataset: str, options: Mapping[str, Any], test_environments: Sequence[int] | None
) -> Any:
    """The test environments in a sweep file's form: each in turn, unless some are named."""
    spec = DATASETS.get(dataset).resolved(options)
    if test_environments is not None:
        return list(test_environments)
    return None if spec.published or spec.targets else "each"


def _left(choice: tuple[int, ...], records: Sequence[RunRecord], linear: Sequence[bool]) -> Audited:
    done = [record for record in records if record.predictions is not None]
    failed = [record for record in records if record.status == "failed"]
    if failed or not done:
        why = failed[0].reason if failed else "all of them diverged"
        raise RequestError(f"No audit: {len(failed) or len(records)} models failed: {why}")
    first, *_ = (record.predictions for record in done)
    assert first is not None
    key, trial = first.key, done[0].trial
    predicted = [_unpacked(record) for record in done]
    environments = ",".join(map(str, choice))
    predictions = Predictions(
        trial.dataset,
        environments,
        trial.data_seed,
        key.source,
        tuple(record.trial.id for record in done),
        examples_of(key),
        np.array(predicted),
    )
    is_linear = tuple(
        flag for flag, record in zip(linear, records, strict=True) if record.predictions is not None
    )
    return Audited(choice, predictions, is_linear, trial, len(records) - len(done))


def _unpacked(record: RunRecord) -> Any:
    assert record.predictions is not None
    packed = record.predictions.packed[LAST]
    assert isinstance(packed, bytes)  # nothing is written where there is no folder
    return record.predictions.key.unpack(packed)
