"""Rows of the tables ``answer_keys`` and ``predictions``: written with a run, and read back."""

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from oodbench.answers import AnswerKey, KeptPredictions, ScoredSplit
from oodbench.errors import DatabaseError
from oodbench.results.connection.engines import insert_absent
from oodbench.results.schema import answer_keys, predictions


def put_predictions(
    connection: Connection, found: Iterable[tuple[str, KeptPredictions | None]]
) -> None:
    """Store what runs predicted, and the answer keys that are not there yet."""
    rows: list[dict[str, Any]] = []
    for run, kept in found:
        if kept is not None and kept.packed:
            put_key(connection, kept.key)
            rows += [prediction_row(run, kept.key, *item) for item in kept.packed.items()]
    if rows:
        connection.execute(predictions.insert(), rows)


def prediction_row(
    run: str, key: AnswerKey, checkpoint: str, packed: bytes | Mapping[str, Any]
) -> dict[str, Any]:
    """What is stored of one checkpoint."""
    inside, file = (packed, None) if isinstance(packed, bytes) else (None, dict(packed))
    return {
        "run_id": run,
        "checkpoint": checkpoint,
        "key_id": key.id,
        "packed": inside,
        "file": file,
    }


def put_key(connection: Connection, key: AnswerKey) -> None:
    """Store an answer key, unless it is there."""
    if connection.scalar(select(answer_keys.c.id).where(answer_keys.c.id == key.id)) is not None:
        return
    file = io.BytesIO()
    np.savez_compressed(file, labels=key.labels, examples=key.examples, groups=key.groups)
    row = {
        "id": key.id,
        "source": key.source,
        "splits": [asdict(split) for split in key.splits],
        "num_classes": key.num_classes,
        "group_names": list(key.group_names),
        "arrays": file.getvalue(),
    }
    connection.execute(insert_absent(connection, answer_keys), [row])  # others may be storing it


def read_keys(connection: Connection, ids: Collection[str] | None = None) -> dict[str, AnswerKey]:
    """These answer keys by their id, or all.

    Raises:
        DatabaseError: If one is damaged.
    """
    wanted = select(answer_keys).order_by(answer_keys.c.id)
    if ids is not None:
        wanted = wanted.where(answer_keys.c.id.in_(ids))
    found = {}
    for row in connection.execute(wanted):
        try:
            found[row.id] = _key_of(row)
        except Exception as error:  # of a damaged archive: of many kinds
            raise DatabaseError(
                f"The labels of {row.source} are damaged in the database: {error}. Restore the "
                "database from a copy."
            ) from error
    return found


def _key_of(row: Any) -> AnswerKey:
    with np.load(io.BytesIO(row.arrays)) as arrays:
        return AnswerKey(
            row.source,
            tuple(ScoredSplit(**split) for split in row.splits),
            arrays["labels"],
            arrays["examples"],
            row.num_classes,
            arrays["groups"],
            tuple(row.group_names),
        )
