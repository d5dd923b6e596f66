"""What of a run is kept beside its scores: weights and predictions."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from oodbench.answers import KeptPredictions
from oodbench.records import BEST, LAST, RunRecord
from oodbench.training.checkpoints import Saving
from oodbench.training.weights import keep_weights, write_file

if TYPE_CHECKING:
    from oodbench.training.loop import Run

LARGE = 20_000
"""Examples above which a run's predictions become a file of the artifacts folder: below, they take
a few KiB, and a database that held those of 20,000 runs on a larger test set would outgrow what is
copied and merged at ease."""


def keep(run: "Run", number: int, record: RunRecord, saving: Saving) -> RunRecord:
    """The record of one trial with its predictions, and with the files of what else is kept.

    Raises:
        ArtifactError: If a file cannot be written.
    """
    return keep_predictions(run, number, keep_weights(run, number, record, saving), saving)


def keep_predictions(run: "Run", number: int, record: RunRecord, saving: Saving) -> RunRecord:
    """The record with the predictions that are to be kept. Only a completed run keeps any.

    Raises:
        ArtifactError: If they are so many that they become a file, and it cannot be written.
    """
    wanted = saving.predictions.get(record.trial.id, ())
    if record.status != "completed" or not wanted:
        return record
    found: dict[str, Tensor] = {}
    if LAST in wanted and run.predicted is not None:
        found[LAST] = run.predicted[number]
    if BEST in wanted and number in run.best:
        *_, predicted = run.best[number]
        found |= {} if predicted is None else {BEST: predicted}
    key = run.data.answer_key
    packed: dict[str, Any] = {name: key.pack(one.numpy()) for name, one in found.items()}
    if len(key) > LARGE and saving.folder is not None:
        start = saving.folder / "predictions" / record.trial.id
        packed = {name: write_packed(start, content) for name, content in packed.items()}
    return replace(record, predictions=KeptPredictions(key, packed))


def write_packed(start: Path, content: bytes) -> dict[str, Any]:
    """Write packed predictions into ``<start>-<beginning of the sha256>.zz``.

    Returns:
        ``file`` (its name), ``sha256`` and ``bytes``.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = start.with_name(f"{start.name}-{sha256[:12]}.zz")
    write_file(path, content)
    return {"file": path.name, "sha256": sha256, "bytes": len(content)}
