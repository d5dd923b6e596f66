"""Weights of trained models, as safetensors files that are named after their content."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from oodbench.errors import ArtifactError
from oodbench.records import RunRecord
from oodbench.training.checkpoints import Saving, written_whole

if TYPE_CHECKING:
    from oodbench.training.loop import Run

LAST, BEST = "last", "best_id_val"
"""Checkpoints whose weights may be kept, as the checkpoint rules call them."""


def keep_weights(run: "Run", model: int, record: RunRecord, saving: Saving) -> RunRecord:
    """Write what is to be kept of one model; the record then names the files.

    Only a completed run keeps weights.

    Raises:
        ArtifactError: If they cannot be written.
    """
    wanted = saving.weights.get(record.trial.id, ())
    if record.status != "completed" or not wanted or saving.folder is None:
        return record
    kept = []
    if LAST in wanted:
        kept.append((LAST, record.trial.steps, run.models.state(model)))
    if BEST in wanted and model in run.best:
        _, step, state = run.best[model]
        kept.append((BEST, step, state))
    folder = saving.folder / "weights"
    files = [
        {"checkpoint": checkpoint, "step": step, **write_weights(folder, record.trial.id, state)}
        for checkpoint, step, state in kept
    ]
    return replace(record, provenance={**record.provenance, "weights": files})


def write_weights(folder: Path, run: str, state: dict[str, Tensor]) -> dict[str, Any]:
    """Write one model's tensors into ``<run>-<beginning of the sha256>.safetensors``.

    Returns:
        ``file`` (its name), ``sha256`` and ``bytes``.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    from safetensors.torch import save

    content = save({name: value.cpu().contiguous() for name, value in state.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{run}-{sha256[:12]}.safetensors"
    try:
        with written_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise ArtifactError(
            f"Cannot write weights to {path}: {error.strerror}. Make room, name another folder "
            "with --artifacts, or keep no weights."
        ) from error
    return {"file": path.name, "sha256": sha256, "bytes": len(content)}


def read_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a weights file, on the CPU.

    Args:
        path: The file.
        sha256: What its content has to be; not checked if None.

    Raises:
        ArtifactError: If it is not there, is not what it should be, or is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"Cannot read weights from {path}: {error.strerror}.") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ArtifactError(
            f"{path} is damaged or another file: its sha256 is {found}, but the database has "
            f"{sha256}."
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise ArtifactError(f"{path} is no safetensors file: {error}.") from error
