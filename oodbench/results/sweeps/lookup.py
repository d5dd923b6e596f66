"""Finding a sweep in the database, and its runs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, exists, select, true

from oodbench.errors import UnknownNameError
from oodbench.results.schema import runs, studies, study_trials, sweeps

T = TypeVar("T")

CHUNK = 500
"""How many ids go into one statement; databases limit its parameters."""


def sweep_id(connection: Connection, name: str) -> int:
    """The number of the sweep called ``name``.

    Raises:
        UnknownNameError: If there is none.
    """
    found = connection.scalar(select(sweeps.c.id).where(sweeps.c.name == name))
    if found is None:
        raise UnknownNameError("sweep", name, connection.scalars(select(sweeps.c.name)))
    return int(found)


def studies_of(connection: Connection, name: str | None) -> ColumnElement[bool]:
    """The condition on ``studies`` that a study belongs to the sweep; every study does to None.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    return true() if name is None else studies.c.sweep_id == sweep_id(connection, name)


def in_sweep(connection: Connection, name: str | None) -> ColumnElement[bool]:
    """The condition on ``runs`` that a run belongs to the sweep: see ``studies_of``."""
    if name is None:
        return true()
    mine = studies_of(connection, name)
    joined = study_trials.join(studies)
    return exists().where(study_trials.c.run_id == runs.c.id, mine).select_from(joined)


def known_states(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The state of each run that the database has."""
    found = {}
    for some in chunks(list(ids)):
        rows = connection.execute(select(runs.c.id, runs.c.state).where(runs.c.id.in_(some)))
        found.update({row.id: row.state for row in rows})
    return found


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """The items in their order, ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
