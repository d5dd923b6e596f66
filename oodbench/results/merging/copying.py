"""Copying a whole database into a new one, between SQLite and PostgreSQL too."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select

from oodbench.errors import DatabaseError
from oodbench.results.connection.database import Database, open_database
from oodbench.results.connection.engines import PLANNING, wait_for_turn
from oodbench.results.schema import RUNNING, TABLES, WAITING, runs, studies, sweeps

CHUNK = 2000
"""Rows that are in memory at a time."""


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Attributes:
        source: Where from, without a password.
        destination: Where to, without a password.
        rows: How many rows of each table.
        released: Runs that were being trained. They wait in the copy: its workers are others.
    """

    source: str
    destination: str
    rows: Mapping[str, int]
    released: int


def copy_database(source: str | Path, destination: str | Path) -> Copied:
    """Copy all sweeps, runs and measurements into a new or empty database, whole or not at all.

    The source is only read, as it is at one moment; workers may go on writing to it.

    Raises:
        DatabaseError: If one of them cannot be used, or the destination has sweeps or runs already.
    """
    with (
        open_database(source, read_only=True) as old,
        open_database(destination, create=True) as new,
        old.read() as reading,
        new.write() as writing,
    ):
        wait_for_turn(writing, PLANNING)
        check_empty(writing, new)
        rows = {table.name: _copy(reading, writing, table) for table in TABLES}
        released = reading.scalar(select(func.count()).where(runs.c.state == RUNNING))
        return Copied(old.url, new.url, rows, int(released or 0))


def check_empty(connection: Connection, db: Database) -> None:
    """Raise DatabaseError if the database has sweeps or runs already."""
    for table in (sweeps, runs):
        n = connection.scalar(select(func.count()).select_from(table))
        if n:
            raise DatabaseError(
                f"{db.url} has {n} {table.name} already, and a copy would mix with them. "
                "Give a new file or an empty PostgreSQL database."
            )


def _copy(reading: Connection, writing: Connection, table: Table) -> int:
    """Copy one table, in the order of its keys, which stay the same."""
    total = 0
    everything = select(table).order_by(*table.primary_key)
    result = reading.execution_options(yield_per=CHUNK).execute(everything)
    for chunk in result.mappings().partitions(CHUNK):
        writing.execute(table.insert(), [released(table, dict(row)) for row in chunk])
        total += len(chunk)
    if total and writing.dialect.name == "postgresql":
        set_sequences(writing, table)
    return total


def released(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """A row in nobody's hands: its workers are those of another database."""
    if table is studies:
        return {**row, "proposer_owner": None, "proposer_lease": None}
    if table is runs and row["state"] == RUNNING:
        suspect = row["cohort_size"] if row["attempt"] > 1 else None  # as in queue.release
        nobody = {"owner": None, "lease": None, "started": None, "cohort_size": suspect}
        return {**row, "state": WAITING, **nobody}
    return row


def set_sequences(connection: Connection, table: Table) -> None:
    """Have PostgreSQL number the next row after those that came with their numbers."""
    column = table.autoincrement_column
    if column is not None:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        last = select(func.max(column)).scalar_subquery()
        connection.execute(select(func.setval(sequence, last)))
