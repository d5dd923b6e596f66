"""Change a sweep after its start: train runs again, or cancel them."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select, update

from oodbench.errors import check_name
from oodbench.records import IMPORTED
from oodbench.results.connection.database import Database
from oodbench.results.connection.engines import PLANNING, wait_for_turn
from oodbench.results.measurements import drop_curves
from oodbench.results.queue import lock_runs
from oodbench.results.schema import DIVERGED, FAILED, WAITING, runs, studies, study_trials
from oodbench.results.sweeps.lookup import chunks, in_sweep, studies_of
from oodbench.results.sweeps.shards import put_sharded

RETRIED = (FAILED, DIVERGED)
"""What may be tried again. A completed run would only come out the same."""


def retry(db: Database, sweep: str, statuses: Sequence[str] = (FAILED,)) -> int:
    """Put finished runs of a sweep back in line, as if they had never been tried.

    What came of them is removed, also for other sweeps that share them. Imported runs stay: there
    is nothing to try again.

    Args:
        sweep: The sweep's name.
        statuses: Which: ``failed``, ``diverged`` or both.

    Returns:
        How many runs wait again.

    Raises:
        UnknownNameError: If there is no such sweep, or runs of a status are not tried again.
    """
    for status in statuses:
        check_name("status to retry", status, RETRIED)
    with db.write() as connection:
        own = ~runs.c.protocol.startswith(IMPORTED, autoescape=True)
        wanted = and_(runs.c.state.in_(statuses), own, in_sweep(connection, sweep))
        found = lock_runs(connection, wanted)
        drop_curves(connection, found)
        for some in chunks(found):
            untouched = {"attempt": 0, "excused": 0, "reason": "", "summary": {}, "provenance": {}}
            nulls = dict.fromkeys(
                ("cohort_size", "owner", "lease", "started", "finished", "origin")
            )
            again = update(runs).where(runs.c.id.in_(some))
            connection.execute(again.values(state=WAITING, **untouched, **nulls))
    return len(found)


def cancel(db: Database, sweep: str) -> int:
    """Take the waiting runs of a sweep out of it; what is running or finished stays.

    Workers add no further runs to it, unless the sweep is asked for again. A run that another sweep
    wants too goes on waiting for that one.

    Returns:
        How many runs were removed from the database, being wanted by no other sweep.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    removed = 0
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)  # nobody adds a sweep that shares them meanwhile
        mine = select(studies.c.id).where(studies_of(connection, sweep))
        connection.execute(update(studies).where(studies.c.id.in_(mine)).values(agenda=None))
        wanted = and_(runs.c.state == WAITING, in_sweep(connection, sweep))
        for some in chunks(lock_runs(connection, wanted)):
            link = study_trials.c
            ours = and_(link.run_id.in_(some), link.study_id.in_(mine))
            _tell_cancelled(connection, ours)
            connection.execute(delete(study_trials).where(ours))
            wanted_still = exists().where(study_trials.c.run_id == runs.c.id)
            removing = delete(runs).where(runs.c.id.in_(some), ~wanted_still)
            removed += connection.execute(removing).rowcount
    return removed


def _tell_cancelled(connection: Connection, links: ColumnElement[bool]) -> None:
    """Let the studies of these links know, so that they are not taken for those of a lost shard."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for row in connection.execute(select(study_trials).where(links)):
        places[row.study_id].append(row.idx)
    for study, cancelled in places.items():
        put_sharded(connection, study, cancelled=cancelled)
