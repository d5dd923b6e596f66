"""Scoring kept weights again: on every split of a run's own dataset, or on another one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError
from oodbench.records import RunRecord
from oodbench.results import load_run, open_database
from oodbench.training import DTYPES
from oodbench.training.evaluation import accuracy
from oodbench.training.inputs.frozen import as_inputs
from oodbench.training.inputs.tensors import evaluated, examples, part_of, roles_of
from oodbench.training.models import Models
from oodbench.training.precision import numerics
from oodbench.training.single import Single
from oodbench.training.stack import Stack
from oodbench.verbs.load_model import KeptModel, read_model
from oodbench.workers.artifacts import find_weights
from oodbench.workers.place import find_device
from oodbench.workers.trial_data import data_of


def evaluate(
    target: str | Path,
    run: str,
    *,
    dataset: str | None = None,
    environments: Sequence[int] | None = None,
    checkpoint: str | None = None,
    weights: str | Path | None = None,
    artifacts: str | Path | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Score a run's kept weights.

    Args:
        target: URL or path of the database.
        run: The run's id, or enough of its beginning.
        dataset: Another one with such examples and classes, at its defaults; None: the run's own.
        environments: Indices of the environments to score on; None: all.
        checkpoint: ``last`` or ``best_id_val``; None: the one that was kept, ``last`` of two.
        weights: A file that ``reproduce`` wrote, in place of those that were kept.
        artifacts: The artifacts folder; None: see ``oodbench.workers.artifacts.artifacts_folder``.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Returns:
        A row a split: ``run``, ``step``, ``environment``, ``split``, ``role`` (what it is to the
        run; empty if nothing), ``accuracy``, ``n``, and ``stored``: the accuracy that training
        measured at that step, NaN if it did not.

    Raises:
        QueryError: If no run or several begin so, or it is not finished.
        ArtifactError: If its weights were not kept, are not there, or are damaged.
        RequestError: If the dataset does not fit, or lacks an environment.
    """
    with open_database(target, read_only=True) as db:
        record = load_run(db, run)
    model, step = _model(target, record, checkpoint, weights, artifacts)
    where = find_device(device)
    data = _dataset(model, dataset, where)
    with numerics(where, model.trial.precision):
        rows = list(_scores(model, record, data, environments, where))
    return _beside_stored(rows, record, step, own=dataset is None)


def _beside_stored(
    rows: Sequence[Mapping[str, Any]], record: RunRecord, step: int, *, own: bool
) -> pd.DataFrame:
    """The scores beside what training measured, if they are on the run's ``own`` dataset."""
    frame = pd.DataFrame(rows)
    known = {
        (m.environment, m.split): m.value
        for m in record.measurements
        if (m.step, m.metric) == (step, "accuracy")
    }
    keys = zip(frame["environment"], frame["split"], strict=True)
    frame["stored"] = [known.get(key, math.nan) if own else math.nan for key in keys]
    if not own:
        frame["role"] = ""  # the run never saw it
    frame.insert(0, "run", record.trial.id)
    frame.insert(1, "step", step)
    return frame


def _model(
    target: str | Path,
    record: RunRecord,
    checkpoint: str | None,
    weights: str | Path | None,
    artifacts: str | Path | None,
) -> tuple[KeptModel, int]:
    """The model, and the step that its weights are of."""
    if weights is None:
        path, kept = find_weights(target, record, checkpoint, artifacts)
        return read_model(path, kept["sha256"]), int(kept["step"])
    if checkpoint not in (None, "last"):
        raise RequestError(f"A weights file is of the checkpoint last, not of {checkpoint!r}.")
    model, run = read_model(Path(weights)), record.trial.id
    if model.trial.id != run:
        raise RequestError(f"{weights} has the weights of run {model.trial.id}, not of {run}.")
    return model, record.trial.steps


def _dataset(model: KeptModel, other: str | None, device: torch.device) -> Dataset:
    """The run's own dataset, or another that its model can read."""
    trial = model.trial
    if other is None:
        return as_inputs(data_of(trial), trial, device)
    data = as_inputs(DATASETS.get(other).load({}, trial.data_seed), trial, device)
    for what in ("input_shape", "num_classes"):
        expected, found = getattr(model, what), getattr(data, what)
        if expected != found:
            raise RequestError(
                f"Run {trial.id} was trained on {trial.dataset}, whose {what} is {expected}; that "
                f"of {other} is {found}. Name a dataset like it."
            )
    return data


def _scores(
    model: KeptModel,
    record: RunRecord,
    data: Dataset,
    wanted: Sequence[int] | None,
    device: torch.device,
) -> Iterator[dict[str, Any]]:
    """A row for each split, scored as it was while the run was trained: in a stack or not."""
    for index in wanted or ():
        if not 0 <= index < len(data.environments):
            listing = ", ".join(f"{i} = {e.name}" for i, e in enumerate(data.environments))
            raise RequestError(f"{data.name} has no environment {index}. It has {listing}.")
    precision = model.trial.precision
    dtype = DTYPES[precision]
    stacked = record.provenance.get("stacked", True)  # a failed run does not say
    scored: Models = (
        Stack([model.module], device, precision)
        if stacked
        else Single(model.module, device, precision)
    )
    for index, environment in enumerate(data.environments):
        if wanted is not None and index not in wanted:
            continue
        is_test = index in model.trial.test_environments
        roles = roles_of(data, index, model.trial.test_environments)
        roles |= {"train": "train"} if "train" in environment.splits and not is_test else {}
        for name in dict.fromkeys((*environment.splits, *roles)):
            split, role = part_of(environment, name), roles.get(name, "")
            row: dict[str, Any] = {"environment": environment.name, "split": name, "role": role}
            given = evaluated(data, environment, name, role, device, dtype)
            row["accuracy"] = accuracy(scored, *given, 1)[0]
            yield {**row, "n": len(split) // split.copies}
    for part in data.published if wanted is None else ():
        row = {"environment": "", "split": part.name, "role": part.role}
        row["accuracy"] = accuracy(scored, *examples(part.split, device, dtype), 1)[0]
        yield {**row, "n": len(part.split) // part.split.copies}
