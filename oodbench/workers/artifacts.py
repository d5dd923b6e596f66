"""The artifacts folder: what is too large for the database, and how weights are found there."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oodbench.errors import ArtifactError, UnknownNameError
from oodbench.records import RunRecord
from oodbench.results import (
    CHECKPOINT_RULES,
    Database,
    describe_target,
    refuse_imported,
    sqlite_file,
)
from oodbench.results.predictions import Predictions, load_predictions


def artifacts_folder(target: str | Path) -> Path:
    """The default folder of artifacts: ``digits.artifacts`` beside ``digits.db``.

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


def known_predictions(
    db: Database, where: str | None, sweep: str | None, checkpoint: str
) -> tuple[Predictions, ...]:
    """The predictions of runs for intervals, which do without them where their files are away.

    A warning on standard error reports it, and results state that they do not cover test examples.
    """
    try:
        return load_predictions(db, artifacts_folder(db.url), where, sweep, checkpoint)
    except ArtifactError as error:
        print(f"Intervals do not cover test examples: {error}", file=sys.stderr, flush=True)
        return ()
