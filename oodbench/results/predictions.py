"""The predictions that runs left: of every example that they were scored on."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from oodbench.answers import AnswerKey
from oodbench.errors import ArtifactError, check_name
from oodbench.results.answer_keys import read_keys
from oodbench.results.connection.database import Database
from oodbench.results.expressions import environments_text
from oodbench.results.query import chosen_runs
from oodbench.results.schema import predictions, runs
from oodbench.results.select import CHECKPOINT_RULES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Predictions:
    """What runs that were scored on one set of examples predicted, at one checkpoint.

    Attributes:
        dataset: Name of the dataset.
        test_environments: Indices of those kept out of training, as in the table of pairs: ``0,1``.
        data_seed: Seed of the splits.
        source: Whose examples these are. Datasets of one source show the same examples, and call
            each by the same number: both ``ColoredDigits`` and ``RotatedDigits`` show ``digits``.
        runs: (N,) ids of the runs.
        examples: (M,) rows with the columns ``environment``, ``split``, ``role``, ``example`` (its
            number within the source) and ``label``; where the examples are in groups ``group``, the
            name of each one's, or ``group_1``, ``group_2``, ... where one is in several at once.
            An empty name: in none.
        predicted: (N, M) predicted classes, in the smallest unsigned type that holds them.
    """

    dataset: str
    test_environments: str
    data_seed: int
    source: str
    runs: tuple[str, ...]
    examples: "pd.DataFrame"
    predicted: NDArray[np.integer]


def load_predictions(
    db: Database,
    artifacts: Path,
    where: str | None = None,
    sweep: str | None = None,
    checkpoint: str = "last",
) -> tuple[Predictions, ...]:
    """What completed runs predicted that kept it; others are not there.

    Args:
        db: The database.
        artifacts: The artifacts folder, where predictions on large test sets are.
        where: A condition, see ``oodbench.results.queries.where``.
        sweep: Runs of this sweep only.
        checkpoint: The checkpoint, one of ``CHECKPOINT_RULES``.

    Returns:
        One for each set of examples under a dataset, test environments and data seed; runs are in
        the order of claiming.

    Raises:
        QueryError: If the condition is not one.
        UnknownNameError: If it names no column or hyperparameter, or there is no such sweep or
            checkpoint rule.
        ArtifactError: If a file of predictions is not there, or damaged.
    """
    check_name("checkpoint rule", checkpoint, CHECKPOINT_RULES)
    with db.read() as connection:
        rows = _rows(connection, where, sweep, checkpoint)
        keys = read_keys(connection, {row.key_id for row in rows})
    return tuple(
        _together(list(some), keys[key], artifacts, (dataset, environments, data_seed))
        for (dataset, environments, data_seed, key), some in groupby(rows, _place)
    )


def _place(row: Any) -> tuple[str, str, int, str]:
    return row.dataset, row.test_environments, row.data_seed, row.key_id


def _rows(
    connection: Connection, where: str | None, sweep: str | None, checkpoint: str
) -> list[Any]:
    """Stored predictions, those of one set of examples together."""
    statement = (
        select(
            runs.c.dataset,
            environments_text(runs.c.test_environments).label("test_environments"),
            runs.c.data_seed,
            predictions.c.key_id,
            predictions.c.run_id,
            predictions.c.packed,
            predictions.c.file,
        )
        .join(runs, runs.c.id == predictions.c.run_id)
        .where(predictions.c.checkpoint == checkpoint)
        .where(runs.c.id.in_(chosen_runs(connection, where, sweep)))
        .order_by(runs.c.position, runs.c.id)
    )
    return sorted(connection.execute(statement).all(), key=_place)


def _together(
    rows: list[Any], key: AnswerKey, artifacts: Path, place: tuple[str, str, int]
) -> Predictions:
    predicted = np.empty((len(rows), len(key)), key.dtype)
    for number, row in enumerate(rows):
        predicted[number] = _unpacked(row, key, artifacts)
    ids = tuple(row.run_id for row in rows)
    return Predictions(*place, key.source, ids, examples_of(key), predicted)


def _unpacked(row: Any, key: AnswerKey, artifacts: Path) -> NDArray[np.integer]:
    packed: bytes = _read(row, artifacts) if row.file else row.packed
    try:
        return key.unpack(packed)
    except ValueError as error:
        raise ArtifactError(
            f"The predictions of run {row.run_id} are damaged: {error}. Restore the database from "
            "a copy, or train the run again in another one."
        ) from error


def _read(row: Any, artifacts: Path) -> bytes:
    """The content of the file that holds a run's predictions."""
    path: Path = artifacts / "predictions" / row.file["file"]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"The predictions of run {row.run_id} are not at {path}: {error.strerror}. Name the "
            "artifacts folder that its workers used (--artifacts)."
        ) from error
    if hashlib.sha256(content).hexdigest() != row.file["sha256"]:
        raise ArtifactError(
            f"{path} is damaged or another file: its sha256 is not the one in the database. "
            "Restore it from a copy."
        )
    return content


def examples_of(key: AnswerKey) -> "pd.DataFrame":
    """A row for each of M examples: see ``Predictions.examples``."""
    import pandas as pd

    sizes = [split.size for split in key.splits]
    frame = pd.DataFrame(
        {
            name: pd.Categorical(np.repeat([getattr(s, name) for s in key.splits], sizes))
            for name in ("environment", "split", "role")
        }
    )
    frame["example"], frame["label"] = key.examples, key.labels
    for name, values in _groups(key):
        frame[name] = values
    return frame


def _groups(key: AnswerKey) -> Iterator[tuple[str, "pd.Categorical[Any]"]]:
    """The columns of groups: each has the group's name of every example."""
    import pandas as pd

    names = ["", *key.group_names]  # -1 is in none
    kinds = key.groups.shape[1]
    for kind in range(kinds):
        column = "group" if kinds == 1 else f"group_{kind + 1}"
        yield column, pd.Categorical.from_codes(key.groups[:, kind] + 1, pd.Index(names))
