"""The artifacts folder: what is too large for the database. Checkpoints and weights."""

from pathlib import Path

from oodbench.results import sqlite_file


def artifacts_folder(target: str | Path) -> Path:
    """Where they lie unless told otherwise: ``digits.artifacts`` beside ``digits.db``.

    For a server it is ``oodbench-artifacts`` in the working directory.
    """
    file = sqlite_file(target)
    return Path("oodbench-artifacts") if file is None else file.with_suffix(".artifacts")
