"""Rounds of draws: the studies of one dataset and algorithm that stop when decided grow together.

A worker that finds a round ended takes all of the group's studies under a lease, looks at the
results outside any transaction, and adds the next round to each of them, or closes them, in one. A
second worker finds them taken, or the new round waiting: no round is added twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, case, exists, func, select, update

from oodbench.records import Trial
from oodbench.results.connection.database import Database
from oodbench.results.connection.engines import PLANNING, wait_for_turn
from oodbench.results.expressions import environments_text
from oodbench.results.schema import RUNNING, WAITING, now, runs, studies, study_trials, sweeps
from oodbench.results.sweeps.adding import put_runs
from oodbench.results.sweeps.lookup import studies_of
from oodbench.results.sweeps.proposals import Growing, free, growing, link_trials, open_studies
from oodbench.results.sweeps.stopping import Group, Stopping

RANDOM = "random"


@dataclass(frozen=True)
class Deciding:
    """A sweep whose searches stop when decided.

    Attributes:
        sweep: Its name.
        stopping: What is asked.
        groups: What is decided together.
        seed: Seed of the search.
        repeats: Training seeds of each draw.
    """

    sweep: str
    stopping: Stopping
    groups: tuple[Group, ...]
    seed: int
    repeats: int


def deciding(db: Database, sweep: str | None = None) -> list[Deciding]:
    """The sweeps that stop when decided, or that one of them.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    studied = (
        studies.c.dataset,
        studies.c.algorithm,
        studies.c.optimizer,
        environments_text(studies.c.test_environments).label("turn"),
    )
    found = []
    with db.read() as connection:
        mine = select(sweeps.c.id).where(sweeps.c.id == studies.c.sweep_id)
        named = exists(mine.where(studies_of(connection, sweep)))
        for row in connection.execute(select(sweeps).where(named).order_by(sweeps.c.id)).all():
            if row.spec.get("search", {}).get("stop"):
                cells = select(*studied).where(studies.c.sweep_id == row.id)
                ordered = cells.order_by(studies.c.position, studies.c.id)
                found.append(_deciding(row.name, row.spec, connection.execute(ordered).all()))
    return found


def _deciding(name: str, spec: Mapping[str, Any], rows: Sequence[Any]) -> Deciding:
    search, repeats = spec["search"], spec.get("seeds", 1)
    cells = dict.fromkeys((row.dataset, row.algorithm) for row in rows)
    groups = []
    for cell in cells:
        mine = [row for row in rows if (row.dataset, row.algorithm) == cell]
        turns, splits = len({row.turn for row in mine}), spec.get("data_seeds", 1)
        optimizers = tuple(dict.fromkeys(row.optimizer for row in mine))
        groups.append(Group(*cell, optimizers, turns * repeats * splits))
    every = tuple(dict.fromkeys(row.optimizer for row in rows))
    stopping = Stopping.of(search, every, len(groups))
    return Deciding(name, stopping, tuple(groups), search.get("seed", 0), repeats)


def take_group(
    db: Database, owner: str, *, sweep: str | None = None, lease: float
) -> list[Growing] | None:
    """Hold the studies of a group whose round has ended: none of its runs waits or is running.

    Args:
        owner: A name that no other worker has.
        sweep: Groups of this sweep only.
        lease: Seconds after which another may take them.

    Returns:
        Those that may grow; None if no group can be looked at now.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        candidates = _candidates(connection, sweep)
    for ids in candidates:
        if _hold(db, ids, owner, lease):
            return [growing(db, study) for study in ids]
    return None


def add_round(
    db: Database,
    owner: str,
    trials: Mapping[str, Sequence[Trial]],
    agendas: Mapping[str, Mapping[str, Any] | None],
) -> bool:
    """Add the next draws to the studies that ``owner`` holds, and give them back.

    Args:
        owner: Who holds them.
        trials: Study -> what to add; one of each waits in turn.
        agendas: Study -> what is still to be added later; None closes it.

    Returns:
        False, and nothing was added, if a lease went to another.
    """
    mine = studies.c.proposer_owner == owner
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)
        held = select(func.count()).where(studies.c.id.in_(agendas), mine)
        if connection.scalar(held.select_from(studies)) != len(agendas):
            return False
        turns = zip_longest(*trials.values())
        put_runs(connection, [trial for turn in turns for trial in turn if trial is not None])
        for study, agenda in agendas.items():
            given_back = {"proposer_owner": None, "proposer_lease": None}
            done = update(studies).where(studies.c.id == study)
            connection.execute(done.values(**given_back, agenda=agenda and dict(agenda)))
            link_trials(connection, study, [(trial, RANDOM) for trial in trials.get(study, ())])
    return True


def _candidates(connection: Connection, sweep: str | None) -> list[list[str]]:
    """The open studies of each group none of whose runs are unfinished."""
    unfinished = func.count(case((runs.c.state.in_([WAITING, RUNNING]), runs.c.id)).distinct())
    counting = (
        select(
            studies.c.id,
            studies.c.agenda,
            studies.c.sweep_id,
            studies.c.dataset,
            studies.c.algorithm,
            unfinished.label("unfinished"),
        )
        .select_from(studies.outerjoin(study_trials).outerjoin(runs))
        .where(open_studies(connection, sweep))
        .group_by(studies.c.id)
        .order_by(studies.c.sweep_id, studies.c.position, studies.c.id)
    )
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in connection.execute(counting):
        if "stop" in row.agenda:
            groups.setdefault((row.sweep_id, row.dataset, row.algorithm), []).append(row)
    return [
        [row.id for row in group]
        for group in groups.values()
        if not any(row.unfinished for row in group)
    ]


def _hold(db: Database, ids: Sequence[str], owner: str, lease: float) -> bool:
    """Hold all of these studies, or none."""
    wanted = studies.c.id.in_(ids)
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)
        able = select(func.count()).where(wanted, free(), studies.c.agenda.is_not(None))
        if connection.scalar(able.select_from(studies)) != len(ids):
            return False
        held = update(studies).where(wanted)
        connection.execute(held.values(proposer_owner=owner, proposer_lease=now() + lease))
    return True
