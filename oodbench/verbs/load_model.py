"""A trained model, from the weights that were kept of a run."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from oodbench.records import Trial
from oodbench.results import load_run, open_database
from oodbench.training import DTYPES
from oodbench.training.inputs.frozen import whole_model
from oodbench.training.loop import build_module
from oodbench.training.weights import read_weights
from oodbench.workers.artifacts import find_weights


def load_model(
    target: str | Path,
    run: str,
    checkpoint: str | None = None,
    *,
    artifacts: str | Path | None = None,
) -> nn.Module:
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
    return whole_model(record.trial, read_model(path, kept["sha256"]).module)


@dataclass(frozen=True)
class KeptModel:
    """What a weights file holds.

    Attributes:
        module: Network in eval mode, on the CPU; without a frozen body, whose features it then
            takes.
        trial: What it was trained for.
        input_shape: Shape of one example.
        num_classes: Size of the label set.
    """

    module: nn.Module
    trial: Trial
    input_shape: tuple[int, ...]
    num_classes: int


def read_model(path: Path, sha256: str | None = None) -> KeptModel:
    """The model in a weights file.

    Raises:
        ArtifactError: If the file is not there, is damaged, or is none of ours.
    """
    state, about = read_weights(path, sha256)
    known = json.loads(about)
    trial, shape = Trial.from_json(known["trial"]), tuple(known["input_shape"])
    module = build_module(trial, shape, known["num_classes"]).to(DTYPES[trial.precision])
    module.load_state_dict(state)
    return KeptModel(module.eval(), trial, shape, known["num_classes"])
