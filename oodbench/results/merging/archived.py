"""The files of an archive, and their rows: whole measurements, trials and provenances.

The schema stores parts of them apart; an archive, which is compressed, need not know.
"""

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    select,
)

from oodbench.results.measurements import NAMES, curves, put_curves
from oodbench.results.provenances import provenance_of, put_provenances, runs_with_origins
from oodbench.results.schema import (
    answer_keys,
    origins,
    predictions,
    runs,
    studies,
    study_trials,
    sweeps,
)
from oodbench.results.trials import trial_of

CURVES = Table(
    "curves",
    MetaData(),
    Column("run_id", Text, ForeignKey(runs.c.id)),
    Column("step", Integer),
    *(Column(name, Text) for name in NAMES),
    Column("value", Float),
    Column("n", Integer),
)
"""The rows of the view, in order."""
ARCHIVED = (sweeps, studies, runs, study_trials, CURVES, answer_keys, predictions)
"""The files, those that others refer to first."""


def ordered(table: Table) -> Select[Any]:
    """The rows of a file, in order."""
    if table is CURVES:
        columns = (curves.c[column.name] for column in CURVES.c)
        return select(*columns).order_by(curves.c.run_id, curves.c.idx)
    if table is runs:
        whole = select(runs, origins.c.shared).select_from(runs_with_origins)
        return whole.order_by(runs.c.position, runs.c.id)
    return select(table).order_by(*table.primary_key)


def whole(table: Table, row: Any) -> dict[str, Any]:
    """A row as the archive has it."""
    found = dict(row._mapping)
    if table is runs:
        found |= {"trial": trial_of(row).to_json(), "provenance": provenance_of(row)}
    return found


def references_of(table: Table) -> dict[str, Column[Any]]:
    """The columns that name a row of another file -> the column that they name."""
    keys = {key.parent.name: key.column for key in table.foreign_keys}
    return {name: parent for name, parent in keys.items() if parent.table is not origins}


def insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if table is CURVES:
        put_curves(connection, rows)
        return
    if table is runs:
        parts = put_provenances(connection, [row["provenance"] for row in rows])
        rows = [{**row, **part} for row, part in zip(rows, parts, strict=True)]
    connection.execute(table.insert(), rows)
