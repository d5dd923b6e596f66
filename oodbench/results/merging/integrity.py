"""Looking a database over: is all there, and does it add up? Nothing is changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    inspect,
    not_,
    or_,
    select,
)

from oodbench.records import STATUSES
from oodbench.results.answer_keys import read_keys
from oodbench.results.connection.database import open_database
from oodbench.results.schema import (
    COMPLETED,
    DIVERGED,
    FAILED,
    REVISIONS,
    RUNNING,
    STATES,
    TABLES,
    WAITING,
    points,
    predictions,
    runs,
    study_trials,
)
from oodbench.results.trials import TRIAL, trial_of
from oodbench.results.views import VIEWS

SHOWN = 3
"""How many runs a problem names."""


@dataclass(frozen=True)
class Checked:
    """What a look at a database found.

    Attributes:
        url: Where it is, without its password.
        revision: Revision of its schema.
        rows: How many rows each table has.
        states: How many runs are in each state.
        problems: One sentence each; empty if all is well.
    """

    url: str
    revision: str
    rows: Mapping[str, int]
    states: Mapping[str, int]
    problems: tuple[str, ...]


def check_database(target: str | Path) -> Checked:
    """Look a database over: its file, its references, its runs and what must be with them.

    Raises:
        DatabaseError: If it cannot be opened, or is of another version.
    """
    with open_database(target, read_only=True) as db, db.read() as connection:
        broken = tuple(_broken_file(connection))
        if broken:  # what it says of itself is worth nothing then
            return Checked(db.url, REVISIONS[-1], {}, {}, broken)
        problems = (*_missing_views(connection), *_orphans(connection), *_wrong_runs(connection))
        problems += (*_wrong_trials(connection), *_wrong_predictions(connection))
        rows = {
            table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0)
            for table in TABLES
        }
        counting = select(runs.c.state, func.count().label("n")).group_by(runs.c.state)
        found = {row.state: row.n for row in connection.execute(counting)}
        states = dict.fromkeys(STATES, 0) | found
        return Checked(db.url, REVISIONS[-1], rows, states, problems)


def _broken_file(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        for line in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars():
            if line != "ok":
                yield f"The file is damaged: {line}. Restore it from a copy."


def _missing_views(connection: Connection) -> Iterator[str]:
    for name in sorted(set(VIEWS) - set(inspect(connection).get_view_names())):
        yield f"The view {name} is missing."


def _orphans(connection: Connection) -> Iterator[str]:
    """Rows that refer to what is not there, and runs that belong to no study."""
    for table in TABLES:
        for key in sorted(table.foreign_keys, key=lambda key: str(key.parent)):
            parent: Column[Any] = key.column
            dangling = and_(key.parent.is_not(None), not_(exists().where(parent == key.parent)))
            n = connection.scalar(select(func.count()).select_from(table).where(dangling))
            if n:
                yield f"{n} rows of {table.name} have a {key.parent.name} that does not exist."
    linked = exists().where(study_trials.c.run_id == runs.c.id)
    yield from _problem(connection, not_(linked), "in no study")


def _wrong_runs(connection: Connection) -> Iterator[str]:
    """Runs whose columns do not fit their state."""
    row = runs.c
    measured = exists().where(points.c.run_id == row.id)
    predicted = exists().where(predictions.c.run_id == row.id)
    finished = row.state.in_(STATUSES)
    last = row.summary[("last", "step")].as_integer()
    rules = {
        "in an unknown state": row.state.not_in(STATES),
        "waiting in a worker's hands": and_(
            row.state == WAITING, or_(row.owner.is_not(None), row.lease.is_not(None))
        ),
        "running in no worker's hands": and_(
            row.state == RUNNING, or_(row.owner.is_(None), row.lease.is_(None), row.attempt < 1)
        ),
        "not finished, but have measurements": and_(not_(finished), measured),
        "finished, but have no time at which": and_(finished, row.finished.is_(None)),
        "not completed, but have predictions": and_(row.state != COMPLETED, predicted),
        "completed, but have no summary": and_(row.state == COMPLETED, last.is_(None)),
        "completed, but have no measurements": and_(row.state == COMPLETED, not_(measured)),
        "diverged or failed without a reason": and_(
            row.state.in_([DIVERGED, FAILED]), row.reason == ""
        ),
    }
    for what, wrong in rules.items():
        yield from _problem(connection, wrong, what)


def _problem(connection: Connection, wrong: ColumnElement[bool], what: str) -> Iterator[str]:
    n = connection.scalar(select(func.count()).select_from(runs).where(wrong))
    if n:
        some = connection.scalars(select(runs.c.id).where(wrong).order_by(runs.c.id).limit(SHOWN))
        yield _sentence(int(n), what, list(some))


def _sentence(n: int, what: str, some: list[str]) -> str:
    return f"{n} runs are {what}: {', '.join(some)}{', ...' if n > len(some) else ''}."


def _wrong_trials(connection: Connection) -> Iterator[str]:
    """Runs whose trial is not the one that their id is the hash of."""
    wrong = []
    columns = select(runs.c.id, *TRIAL).order_by(runs.c.id)
    for row in connection.execution_options(yield_per=1000).execute(columns):
        try:
            if trial_of(row).id != row.id:
                wrong.append(row.id)
        except (TypeError, KeyError, ValueError):
            wrong.append(row.id)
    if wrong:
        yield _sentence(len(wrong), "not of the trial that their id says", wrong[:SHOWN])


def _wrong_predictions(connection: Connection) -> Iterator[str]:
    """Answer keys that are not what their id says, and predictions that are of other examples."""
    keys = read_keys(connection)
    damaged = [name for name, key in keys.items() if key.id != name]
    if damaged:
        yield f"{len(damaged)} answer keys are not what their id says: {', '.join(damaged)}."
    wrong = []
    columns = select(predictions.c.run_id, predictions.c.key_id, predictions.c.packed)
    stored = columns.where(predictions.c.packed.is_not(None)).order_by(predictions.c.run_id)
    for run, key, packed in connection.execution_options(yield_per=1000).execute(stored):
        try:
            keys[key].unpack(packed)
        except (KeyError, ValueError):
            wrong.append(run)
    if wrong:
        yield _sentence(len(wrong), "with predictions of other examples", wrong[:SHOWN])
