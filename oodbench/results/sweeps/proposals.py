"""Studies that grow: workers add trials to them as results come in, one worker at a time.

A study's ``agenda`` says what is still to be added (see ``plans``); it is null
once nothing is. Who wants to add something takes the study under a lease, asks outside any
transaction (an adaptive sampler may think for seconds), and adds its trials and gives the study
back in one. A proposer that dies loses the lease, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update

from oodbench.records import Trial
from oodbench.results.connection.database import Database
from oodbench.results.connection.engines import PLANNING, wait_for_turn
from oodbench.results.schema import (
    CONFIRM,
    RUNNING,
    WAITING,
    now,
    runs,
    studies,
    study_trials,
    sweeps,
)
from oodbench.results.sweeps.adding import put_runs
from oodbench.results.sweeps.lookup import studies_of
from oodbench.results.sweeps.plans import runs_of_each
from oodbench.results.trials import TRIAL, trial_of


@dataclass(frozen=True)
class Past:
    """A run of a study, and what is known of it.

    Attributes:
        trial: What was asked for.
        sampler: Who drew it, or ``CONFIRM``.
        state: ``waiting``, ``running``, ``completed``, ...
        scores: At its last checkpoint, as in ``runs.summary``; empty unless completed.
    """

    trial: Trial
    sampler: str
    state: str
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Growing:
    """A study that a proposer holds.

    Attributes:
        id: Id of the study.
        sweep: Name of its sweep.
        definition: See ``PlannedStudy``, as for ``sampler_seed``, ``facts``, ``agenda``.
        past: Its runs so far, in the order in which they were added.
    """

    id: str
    sweep: str
    definition: Mapping[str, Any]
    sampler: str
    sampler_seed: int
    facts: Mapping[str, Any]
    agenda: Mapping[str, Any]
    past: Sequence[Past]


def take_study(
    db: Database, owner: str, *, sweep: str | None = None, lease: float, idle: bool = False
) -> Growing | None:
    """Hold the study that most needs further trials: the one with the fewest unfinished runs.

    Args:
        owner: A name that no other worker has.
        sweep: Studies of this sweep only.
        lease: Seconds after which another may take it.
        idle: Only a study none of whose runs are unfinished.

    Returns:
        None if no study can be extended at present.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        candidates = _candidates(connection, sweep, idle)
    for study in candidates:
        if _hold(db, study, owner, lease):
            return growing(db, study)
    return None


def add_trials(
    db: Database,
    owner: str,
    study: str,
    trials: Sequence[tuple[Trial, str]],
    agenda: Mapping[str, Any] | None,
) -> bool:
    """Add trials, each with who drew it, to a study that ``owner`` holds, and give it back.

    Args:
        owner: Who holds the study.
        study: Id of the study.
        trials: What to add; a run that the database has already is shared.
        agenda: What is still to be added later; None closes the study.

    Returns:
        False, and nothing was added, if the lease went to another.
    """
    mine = update(studies).where(studies.c.id == study, studies.c.proposer_owner == owner)
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)
        given_back = {"proposer_owner": None, "proposer_lease": None}
        done = mine.values(**given_back, agenda=agenda and dict(agenda))
        if connection.execute(done).rowcount == 0:
            return False
        put_runs(connection, [trial for trial, _ in trials])
        link_trials(connection, study, trials)
    return True


def link_trials(connection: Connection, study: str, trials: Sequence[tuple[Trial, str]]) -> None:
    """Make these the last trials of a study, each with who drew it; they are stored already."""
    last = select(func.coalesce(func.max(study_trials.c.idx), -1))
    first = int(connection.scalar(last.where(study_trials.c.study_id == study)) or 0) + 1
    rows = [
        {"study_id": study, "idx": first + i, "run_id": trial.id, "sampler": sampler}
        for i, (trial, sampler) in enumerate(trials)
    ]
    if rows:
        connection.execute(study_trials.insert(), rows)


def give_back_study(db: Database, owner: str) -> int:
    """Let others take the studies that ``owner`` holds; how many there were."""
    with db.write() as connection:
        return free_studies(connection, owner)


def free_studies(connection: Connection, owner: str) -> int:
    """Free an owner's studies within a transaction; see ``give_back_study``."""
    mine = update(studies).where(studies.c.proposer_owner == owner)
    return connection.execute(mine.values(proposer_owner=None, proposer_lease=None)).rowcount


def open_studies(connection: Connection, sweep: str | None) -> ColumnElement[bool]:
    """The condition on ``studies`` that something is still to be added, in this sweep."""
    return and_(studies.c.agenda.is_not(None), studies_of(connection, sweep))


def runs_to_come(connection: Connection, sweep: str | None = None) -> dict[str, int]:
    """How many runs workers will add to each study that is not complete."""
    there = func.count(study_trials.c.run_id.distinct())
    counting = (
        select(studies.c.id, studies.c.agenda, there.label("there"))
        .outerjoin(study_trials, study_trials.c.study_id == studies.c.id)
        .where(open_studies(connection, sweep))
        .group_by(studies.c.id)
    )
    rows = connection.execute(counting)
    return {row.id: max(0, row.agenda["runs"] - row.there) for row in rows}


def _candidates(connection: Connection, sweep: str | None, idle: bool) -> list[str]:
    """Ids of the studies to which something may be added now, the neediest first."""
    link = study_trials.c
    unfinished = func.count(case((runs.c.state.in_([WAITING, RUNNING]), runs.c.id)).distinct())
    drawn = func.count(case((link.sampler != CONFIRM, link.run_id)).distinct())
    joined = studies.outerjoin(study_trials).outerjoin(runs)
    counting = (
        select(studies.c.id, studies.c.agenda, unfinished.label("unfinished"), drawn.label("drawn"))
        .select_from(joined)
        .where(open_studies(connection, sweep), free())
        .group_by(studies.c.id)
        .order_by(unfinished, studies.c.sweep_id, studies.c.position, studies.c.id)
    )

    def may_grow(row: Any) -> bool:
        if "stop" in row.agenda:  # studies that stop when decided grow together: see ``rounds``
            return False
        trials = row.agenda.get("search", {}).get("trials", 0) * runs_of_each(row.agenda)
        return row.unfinished == 0 or (not idle and row.drawn < trials)

    return [row.id for row in connection.execute(counting) if may_grow(row)]


def free() -> ColumnElement[bool]:
    return or_(studies.c.proposer_owner.is_(None), studies.c.proposer_lease < now())


def _hold(db: Database, study: str, owner: str, lease: float) -> bool:
    holding = update(studies).where(studies.c.id == study, free(), studies.c.agenda.is_not(None))
    with db.write() as connection:
        held = holding.values(proposer_owner=owner, proposer_lease=now() + lease)
        return connection.execute(held).rowcount == 1


def growing(db: Database, study: str) -> Growing:
    link = study_trials.c
    with db.read() as connection:
        row = connection.execute(
            select(studies, sweeps.c.name.label("sweep"))
            .join(sweeps, sweeps.c.id == studies.c.sweep_id)
            .where(studies.c.id == study)
        ).one()
        mine = (
            select(*TRIAL, link.sampler, runs.c.state, runs.c.summary)
            .join(runs, runs.c.id == link.run_id)
            .where(link.study_id == study)
            .order_by(link.idx)
        )
        past = tuple(
            Past(trial_of(r), r.sampler, r.state, r.summary.get("last", {}))
            for r in connection.execute(mine)
        )
    return Growing(
        row.id,
        row.sweep,
        row.definition,
        row.sampler,
        row.sampler_seed,
        row.facts,
        row.agenda,
        past,
    )
