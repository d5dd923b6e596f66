"""Weights of trained models, as safetensors files that are named after their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from oodbench.errors import ArtifactError
from oodbench.records import BEST, LAST, RunRecord, canonical_json
from oodbench.training.checkpoints import Saving, written_whole

if TYPE_CHECKING:
    from oodbench.training.loop import Run

ABOUT = "oodbench"
"""The one key of the files' metadata: safetensors would write several in any order."""


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
        kept.append((LAST, record.trial.steps, run.weights(model)))
    if BEST in wanted and model in run.best:
        _, step, state, _ = run.best[model]
        kept.append((BEST, step, state))
    about = {  # with it the model can be built without its dataset
        "trial": record.trial.to_json(),
        "input_shape": list(run.data.shape),
        "num_classes": run.data.num_classes,
    }
    start = saving.folder / "weights" / record.trial.id
    files = [
        {"checkpoint": checkpoint, "step": step, **write_weights(start, state, about)}
        for checkpoint, step, state in kept
    ]
    return replace(record, provenance={**record.provenance, "weights": files})


def write_weights(
    start: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one model's tensors into ``<start>-<beginning of the sha256>.safetensors``.

    Returns:
        ``file`` (its name), ``sha256`` and ``bytes``.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: value.cpu().contiguous() for name, value in state.items()}
    content = save(tensors, {ABOUT: canonical_json(about)})
    sha256 = hashlib.sha256(content).hexdigest()
    path = start.with_name(f"{start.name}-{sha256[:12]}.safetensors")
    write_file(path, content)
    return {"file": path.name, "sha256": sha256, "bytes": len(content)}


def write_file(path: Path, content: bytes) -> None:
    """Write a file of weights or predictions, whole or not at all.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    try:
        with written_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise ArtifactError(
            f"Cannot write {path}: {error.strerror}. Make room, or name another "
            "place: --artifacts for what a sweep keeps, --weights for what reproduce writes."
        ) from error


def read_weights(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a weights file, on the CPU, and as JSON what they are the weights of.

    Args:
        path: The file.
        sha256: What its content has to be; not checked if None.

    Raises:
        ArtifactError: If it is not there, is not what it should be, or is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ArtifactError(f"Cannot read weights from {path}: {error.strerror}.") from error
    if sha256 is not None and found != sha256:
        raise ArtifactError(
            f"{path} is damaged or another file: its sha256 is {found}, but the database has "
            f"{sha256}. Restore it from a copy, or train the run again: oodbench reproduce."
        )
    try:
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get(ABOUT)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ArtifactError(f"{path} is no safetensors file: {error}.") from error
    if about is None:
        raise ArtifactError(f"{path} was not written by oodbench: it does not say of which trial.")
    return tensors, about
