"""The runs table as a queue: claim a cohort, hold it under a lease, give it back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, tuple_, update

from oodbench.records import Trial
from oodbench.results.connection.database import Database
from oodbench.results.schema import FAILED, RUNNING, WAITING, now, runs
from oodbench.results.suspicion import DEATHS_ALONE, FEWEST, background, is_beyond_chance
from oodbench.results.sweeps.lookup import in_sweep
from oodbench.results.sweeps.proposals import free_studies
from oodbench.results.trials import TRIAL, trial_of


@dataclass(frozen=True)
class Claim:
    """A run that a worker holds.

    Attributes:
        trial: What to train.
        run: The run's id.
        owner: Who holds it.
        attempt: How many times it has been claimed. A result is stored only if owner and attempt
            are still those of the run.
    """

    trial: Trial
    run: str
    owner: str
    attempt: int


def claim(
    db: Database,
    owner: str,
    *,
    sweep: str | None = None,
    size: int,
    lease: float,
    limits: Mapping[str, int] = MappingProxyType({}),
    peers: int = 1,
) -> list[Claim]:
    """Take up to ``size`` runs that can be trained in one stack, those first in line.

    Runs whose lease has expired are taken again, apart from others and in halved cohorts, so that
    one which kills its worker is found. It is recorded as failed once it has done so alone more
    often than chance explains: see ``oodbench.results.suspicion``.

    Args:
        owner: A name that no other worker has.
        sweep: Take runs of this sweep only.
        size: The largest cohort wanted.
        lease: Seconds, from now, after which others may take the runs unless they are renewed.
        limits: For some cohort keys, the largest cohort wanted, where that is less than ``size``.
        peers: How many workers share the sweep: the last runs of one shape are divided among them.

    Returns:
        The runs in their order; empty if there is nothing to do at present.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.write() as connection:
        wanted = in_sweep(connection, sweep)
        _give_up(connection, wanted)
        first = _first_in_line(connection, wanted)
        if first is None:
            return []
        most = min(size, limits.get(first.cohort_key, size), _most_suspects(first, size))
        size = _share(connection, first, wanted, most, peers)
        rows = _take(connection, first, owner, wanted, size, lease)
        return [Claim(trial_of(row), row.id, owner, row.attempt) for row in rows]


def _lost() -> ColumnElement[bool]:
    return and_(runs.c.state == RUNNING, runs.c.lease < now())


def _give_up(connection: Connection, wanted: ColumnElement[bool]) -> None:
    columns = runs.c.id, runs.c.attempt, DEATHS_ALONE.label("deaths"), runs.c.owner
    suspects = select(*columns).where(_lost(), DEATHS_ALONE >= FEWEST, wanted)
    for run in connection.execute(suspects.with_for_update(skip_locked=True)).all():
        if is_beyond_chance(run.deaths, background(connection, wanted, run.id)):
            reason = (
                f"Its worker died each of the {run.deaths} times it was trained alone, of "
                f"{run.attempt} times in all (worker {run.owner}); see that worker's log, and "
                "check memory and the dataset's files."
            )
            failing = update(runs).where(runs.c.id == run.id)
            failed = {"state": FAILED, "finished": now(), "lease": None, "reason": reason}
            connection.execute(failing.values(**failed))


def _first_in_line(connection: Connection, wanted: ColumnElement[bool]) -> Any:
    columns = runs.c.position, runs.c.cohort_key, runs.c.state, runs.c.cohort_size
    rows: list[Any] = []
    for available in (runs.c.state == WAITING, _lost()):  # two questions, an index for each
        first = select(*columns).where(available, wanted).order_by(runs.c.position).limit(1)
        rows += connection.execute(first.with_for_update(skip_locked=True)).all()
    return min(rows, key=lambda row: row.position, default=None)


def _share(
    connection: Connection, first: Any, wanted: ColumnElement[bool], size: int, peers: int
) -> int:
    """One worker's part of the runs that wait in ``first``'s shape; enough of them: ``size``."""
    if peers == 1:
        return size
    alike = runs.c.state == first.state, runs.c.cohort_key == first.cohort_key, wanted
    some = select(runs.c.id).where(*alike).limit(size * peers).subquery()
    left = connection.scalar(select(func.count()).select_from(some))
    return max(1, -(-int(left or 0) // peers))


def _most_suspects(first: Any, size: int) -> int:
    """How many of those that may have killed their worker are tried together; else ``size``."""
    if first.cohort_size is None:
        return size
    lost = int(first.cohort_size)
    return max(1, lost // 2 if first.state == RUNNING else lost)


def _take(
    connection: Connection,
    first: Any,
    owner: str,
    wanted: ColumnElement[bool],
    size: int,
    lease: float,
) -> list[Any]:
    """Claim ``first`` and those like it: same shape, same history."""
    available = _lost() if first.state == RUNNING else runs.c.state == WAITING
    alike = (
        runs.c.cohort_key == first.cohort_key,
        runs.c.cohort_size.is_not_distinct_from(first.cohort_size),
    )
    picked = (
        select(runs.c.id)
        .where(available, wanted, *alike)
        .order_by(runs.c.position)
        .limit(size)
        .with_for_update(skip_locked=True)
        .cte("picked")
        # Else PostgreSQL may run the subquery again for each row, and lock more than it takes.
        .prefix_with("MATERIALIZED")
    )
    taking = (
        update(runs)
        .where(runs.c.id.in_(select(picked.c.id)))
        .values(
            state=RUNNING,
            owner=owner,
            lease=now() + lease,
            attempt=runs.c.attempt + 1,
            # A death in company is no sign of whose fault it was.
            excused=case((runs.c.cohort_size > 1, runs.c.attempt), else_=runs.c.excused),
            cohort_size=select(func.count()).select_from(picked).scalar_subquery(),
            started=now(),
        )
        .returning(runs.c.id, runs.c.position, runs.c.attempt, *TRIAL)
    )
    return sorted(connection.execute(taking).all(), key=lambda row: row.position)


def held(claims: Iterable[Claim]) -> ColumnElement[bool]:
    """The runs that are still in the hands of those who claimed them."""
    keys = [(item.run, item.owner, item.attempt) for item in claims]
    row = tuple_(runs.c.id, runs.c.owner, runs.c.attempt)
    by_id = runs.c.id.in_([run for run, _, _ in keys])  # SQLite finds no index for a tuple
    return and_(by_id, row.in_(keys), runs.c.state == RUNNING)


def lock_runs(connection: Connection, wanted: ColumnElement[bool]) -> list[str]:
    """Keep others from changing the ``wanted`` runs until the transaction ends; their ids.

    All who change several runs lock them in the same order first, or two of them could wait for
    each other for ever.
    """
    locking = select(runs.c.id).where(wanted).order_by(runs.c.id).with_for_update()
    return list(connection.scalars(locking))


def renew(db: Database, claims: Sequence[Claim], lease: float) -> set[str]:
    """Hold claimed runs for ``lease`` seconds from now.

    Returns:
        Ids of the runs that are still held; the others went to another worker.
    """
    if not claims:
        return set()
    renewal = update(runs).where(held(claims)).values(lease=now() + lease).returning(runs.c.id)
    with db.write() as connection:
        lock_runs(connection, held(claims))
        return set(connection.scalars(renewal))


def excuse(db: Database, claim: Claim) -> bool:
    """Count no attempt so far against a run that is held: it got further, and can go on from there.

    Returns:
        Whether it is still held.
    """
    excusing = update(runs).where(held([claim])).values(excused=runs.c.attempt)
    with db.write() as connection:
        return connection.execute(excusing).rowcount == 1


def release(db: Database, claims: Sequence[Claim]) -> set[str]:
    """Give claimed runs back untrained, as if this claim had never been.

    Returns:
        Ids of the runs that were given back; the others went to another worker.
    """
    if not claims:
        return set()
    giving_back = (
        update(runs)
        .where(held(claims))
        .values(
            state=WAITING,
            attempt=runs.c.attempt - 1,
            excused=case(
                (runs.c.excused == runs.c.attempt, runs.c.attempt - 1), else_=runs.c.excused
            ),
            # A run that was lost before stays under suspicion.
            cohort_size=case((runs.c.attempt > 1, runs.c.cohort_size)),
            owner=None,
            lease=None,
            started=None,
        )
        .returning(runs.c.id)
    )
    with db.write() as connection:
        lock_runs(connection, held(claims))
        return set(connection.scalars(giving_back))


def abandon(db: Database, owner: str) -> int:
    """End the leases of a worker that is known to be dead, so that others need not wait for them.

    The runs are lost, as if their leases had run out: they are taken again in halved cohorts. A
    study to which it was about to add trials is free again.

    Returns:
        How many runs it held.
    """
    mine = and_(runs.c.owner == owner, runs.c.state == RUNNING)
    with db.write() as connection:
        free_studies(connection, owner)
        lock_runs(connection, mine)
        return connection.execute(update(runs).where(mine).values(lease=0.0)).rowcount
