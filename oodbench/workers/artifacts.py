"""The artifacts folder: what is too large for the database. Finding and loading weights there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.errors import ArtifactError, UnknownNameError
from oodbench.records import RunRecord, Trial
from oodbench.results import (
    CHECKPOINT_RULES,
    describe_target,
    load_run,
    open_database,
    refuse_imported,
    sqlite_file,
)

if TYPE_CHECKING:
    from torch import nn


def artifacts_folder(target: str | Path) -> Path:
    """Where they lie unless told otherwise: ``digits.artifacts`` beside ``digits.db``.

    For a server it is ``oodbench-artifacts`` in the working directory.
    """
    file = sqlite_file(target)
    return Path("oodbench-artifacts") if file is None else file.with_suffix(".artifacts")


def find_weights(
    target: str | Path, record: RunRecord, checkpoint: str | None, artifacts: str | Path | None
) -> tuple[Path, Mapping[str, Any]]:
    """The weights file of a run, and what its provenance says of it.

    Args:
        target: URL or path of the database.
        record: The run.
        checkpoint: ``last`` or ``best_id_val``; None: the one that was kept, ``last`` of two.
        artifacts: The artifacts folder; None: see ``artifacts_folder``.

    Raises:
        UnknownNameError: If there is no such checkpoint rule.
        ArtifactError: If they were not kept, or are not there.
        RequestError: If the run was imported.
    """
    if checkpoint is not None and checkpoint not in CHECKPOINT_RULES:
        raise UnknownNameError("checkpoint rule", checkpoint, CHECKPOINT_RULES)
    run, kept = record.trial.id, record.provenance.get("weights", [])
    refuse_imported(record.trial, "scored or loaded")
    again = (
        f"Train it again here: oodbench reproduce {run} --db {describe_target(target)} "
        f"--weights {run}.safetensors"
    )
    found = [item for item in kept if checkpoint in (None, item["checkpoint"])]
    if not found:
        there = ", ".join(item["checkpoint"] for item in kept) or "none"
        of = f" of its checkpoint {checkpoint}" if kept else ""
        raise ArtifactError(
            f"The weights{of} of run {run} ({record.status}) were not kept; kept: {there}. {again}."
        )
    folder = artifacts_folder(target) if artifacts is None else Path(artifacts)
    path = folder / "weights" / found[0]["file"]
    if not path.exists():
        raise ArtifactError(
            f"The weights of run {run} are not at {path}. Name the artifacts folder that its "
            f"workers used (--artifacts). {again}."
        )
    return path, found[0]


def load_model(
    target: str | Path,
    run: str,
    checkpoint: str | None = None,
    *,
    artifacts: str | Path | None = None,
) -> "nn.Module":
    """A trained model, on the CPU, in eval mode.

    Args:
        target: URL or path of the database.
        run: The run's id, or enough of its beginning.
        checkpoint: ``last`` or ``best_id_val``; None: the one that was kept, ``last`` of two.
        artifacts: The artifacts folder; by default ``digits.artifacts`` beside ``digits.db``, for a
            server ``oodbench-artifacts``.

    Returns:
        A module from (n, *input_shape) inputs, images scaled to [0, 1], to (n, num_classes) logits.
        It takes float32, or float64 if the run was in ``float64`` and no backbone was frozen.
        That of a ``bf16`` run computes them in bfloat16 too; its ``module`` is the network itself.

    Raises:
        QueryError: If no run or several begin so, or it is not finished.
        ArtifactError: If its weights were not kept, are not there, or are damaged.
    """
    with open_database(target, read_only=True) as db:
        record = load_run(db, run)
    path, kept = find_weights(target, record, checkpoint, artifacts)
    from oodbench.training.inputs.frozen import whole_model

    return whole_model(record.trial, read_model(path, kept["sha256"]).module)


@dataclass(frozen=True)
class KeptModel:
    """What a weights file holds.

    Attributes:
        module: In eval mode, on the CPU; without a frozen body, whose features it then takes.
        trial: What it was trained for.
        input_shape: Shape of one example.
        num_classes: Size of the label set.
    """

    module: "nn.Module"
    trial: Trial
    input_shape: tuple[int, ...]
    num_classes: int


def read_model(path: Path, sha256: str | None = None) -> KeptModel:
    """The model in a weights file.

    Raises:
        ArtifactError: If the file is not there, is damaged, or is none of ours.
    """
    from oodbench.training.loop import build_module
    from oodbench.training.precision import DTYPES
    from oodbench.training.weights import read_weights

    state, about = read_weights(path, sha256)
    known = json.loads(about)
    trial, shape = Trial.from_json(known["trial"]), tuple(known["input_shape"])
    module = build_module(trial, shape, known["num_classes"]).to(DTYPES[trial.precision])
    module.load_state_dict(state)
    return KeptModel(module.eval(), trial, shape, known["num_classes"])
