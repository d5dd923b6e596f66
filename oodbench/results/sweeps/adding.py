"""Adding a sweep's studies and trials to the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from oodbench.errors import DatabaseError
from oodbench.records import STATUSES, Trial
from oodbench.results.connection.database import Database
from oodbench.results.connection.engines import (
    PLANNING,
    insert_absent,
    update_statistics,
    wait_for_turn,
)
from oodbench.results.schema import WAITING, now, runs, studies, study_trials, sweeps
from oodbench.results.sweeps.lookup import known_states, sweep_id
from oodbench.results.sweeps.plans import AddedSweep, PlannedStudy, in_turn
from oodbench.results.sweeps.shifts import put_declared
from oodbench.results.trials import run_columns


def preview_sweep(db: Database | None, plan: Sequence[PlannedStudy]) -> AddedSweep:
    """What ``add_sweep`` would change; ``db`` is None where there is no database yet."""
    if db is None:
        return _added(plan, in_turn(plan), {}, {})
    with db.read() as connection:
        trials = in_turn(plan)
        return _added(plan, trials, known_states(connection, trials), _extended(connection, plan))


def add_sweep(
    db: Database,
    name: str,
    spec: Mapping[str, Any],
    plan: Sequence[PlannedStudy],
    order: Mapping[str, int] | None = None,
) -> AddedSweep:
    """Add a sweep, or to a sweep of that name what it lacks. Nothing is removed or trained again.

    Runs that the database has already, from this sweep or another, are shared as they are. New ones
    wait in turn, one of each study with the same data.

    Args:
        name: The sweep's name.
        spec: The sweep file's content; the latest is kept.
        plan: Studies of the sweep.
        order: Place in the queue of each run; by default behind those that are there.

    Raises:
        DatabaseError: If a study belongs to another sweep already.
    """
    trials = in_turn(plan)
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)
        states, extended = known_states(connection, trials), _extended(connection, plan)
        sweep = put_sweep(connection, name, spec)
        put_studies(connection, sweep, plan)
        put_runs(connection, [t for run, t in trials.items() if run not in states], order)
        put_links(connection, plan)
        update_statistics(connection, runs, studies, study_trials)
    return _added(plan, trials, states, extended)


def _added(
    plan: Sequence[PlannedStudy],
    trials: Mapping[str, Trial],
    states: Mapping[str, str],
    extended: Mapping[str, Mapping[str, str]],
) -> AddedSweep:
    """The difference between the plan and what the database has: see ``_extended``."""
    known = {**states, **{run: state for runs in extended.values() for run, state in runs.items()}}
    later = 0
    for study in plan:
        if study.agenda is not None:
            there = {trial.id for trial in study.trials} | set(extended.get(study.id, {}))
            later += max(0, study.agenda["runs"] - len(there))
    stored = sum(state in STATUSES for state in known.values())
    new = len(trials.keys() - known.keys())
    total = new + len(known) + later
    return AddedSweep(len(plan), total, new, len(known), stored, later)


def _extended(connection: Connection, plan: Sequence[PlannedStudy]) -> dict[str, dict[str, str]]:
    """The runs, with their states, of each study to which workers add some."""
    found: dict[str, dict[str, str]] = {}
    joined = select(runs.c.id, runs.c.state).join(study_trials)
    for study in plan:
        if study.agenda is not None:
            rows = connection.execute(joined.where(study_trials.c.study_id == study.id))
            found[study.id] = {row.id: row.state for row in rows}
    return found


def put_sweep(connection: Connection, name: str, spec: Mapping[str, Any]) -> int:
    new = {"name": name, "spec": dict(spec), "created": now()}
    connection.execute(insert_absent(connection, sweeps).values(new))
    connection.execute(update(sweeps).where(sweeps.c.name == name).values(spec=dict(spec)))
    return sweep_id(connection, name)


def put_studies(connection: Connection, sweep: int, plan: Sequence[PlannedStudy]) -> None:
    created = connection.scalar(select(now()))
    for position, study in enumerate(plan):
        said = {k: v for k, v in vars(study).items() if k not in ("trials", "indices")}
        new = {**said, "sweep_id": sweep, "position": position, "created": created}
        connection.execute(insert_absent(connection, studies).values(new))
        latest = update(studies).where(studies.c.id == study.id)
        connection.execute(latest.values(agenda=study.agenda))
        put_declared(connection, study)
        owner = connection.scalar(select(studies.c.sweep_id).where(studies.c.id == study.id))
        if owner != sweep:
            raise DatabaseError(
                f"Study {study.id} belongs to another sweep already; "
                "a study's id must depend on its sweep's name."
            )


def put_runs(
    connection: Connection, trials: Sequence[Trial], order: Mapping[str, int] | None = None
) -> None:
    """Let these trials wait; those that the database has stay as they are.

    Args:
        connection: Connection in a write transaction.
        trials: The trials.
        order: Place in the queue of each; by default behind all others.
    """
    if not trials:
        return
    created = connection.scalar(select(now()))
    rows = [
        {
            **run_columns(trial),
            "position": behind if order is None else order[trial.id],
            "state": WAITING,
            "created": created,
        }
        for behind, trial in enumerate(trials, start=end_of_line(connection))
    ]
    connection.execute(insert_absent(connection, runs), rows)


def end_of_line(connection: Connection) -> int:
    """The position behind all runs."""
    last = connection.scalar(select(func.coalesce(func.max(runs.c.position), -1)))
    return int(last or 0) + 1


def put_links(connection: Connection, plan: Sequence[PlannedStudy]) -> None:
    """Give each study its trials. An index that is taken by another trial is not changed."""
    rows = []
    for study in plan:
        mine = select(study_trials.c.idx, study_trials.c.run_id)
        rows_of_study = connection.execute(mine.where(study_trials.c.study_id == study.id))
        taken = {row.idx: row.run_id for row in rows_of_study}
        drawn = list(study.drawn())
        lacking = Counter(trial.id for _, trial in drawn) - Counter(taken.values())
        end = max(len(drawn), *taken, *(i for i, _ in drawn), -1) + 1
        for index, trial in drawn:
            if taken.get(index) == trial.id or not lacking[trial.id]:
                continue
            lacking[trial.id] -= 1
            if index in taken:
                index, end = end, end + 1
            row = {"study_id": study.id, "idx": index, "run_id": trial.id}
            rows.append({**row, "sampler": study.sampler})
    if rows:
        connection.execute(study_trials.insert(), rows)
