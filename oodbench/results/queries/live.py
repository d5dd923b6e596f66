"""What has happened in a database that is being filled: asked again and again, so it is cheap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from oodbench.records import STATUSES
from oodbench.results.connection.database import Database
from oodbench.results.expressions import environments_text
from oodbench.results.schema import RUNNING, now, runs, studies
from oodbench.results.sweeps.lookup import in_sweep

SLACK = 30.0
"""Seconds by which a run may be seen later than it ended: a server shows it once all that was
stored together is there."""


@dataclass(frozen=True)
class Ended:
    """A run that ended.

    Attributes:
        run: Id of the run.
        status: What became of it.
        attempt: How many times it was claimed: a run that is put back in line ends again.
        started: When it was claimed, in seconds since 1970 on the database's clock; None: it was
            trained elsewhere.
        finished: When it ended.
    """

    run: str
    status: str
    attempt: int
    started: float | None
    finished: float


def sizes(db: Database) -> tuple[float, dict[str, int]]:
    """The time on the database's clock; how many runs are in each state, and how many studies.

    As long as that stays the same, nothing was claimed, ended or put back: it takes a look at an
    index.
    """
    row = runs.c
    by_state = select(row.state, func.count()).group_by(row.state)
    with db.read() as connection:
        at = float(connection.scalar(select(now())) or 0.0)
        found = {str(state): int(n) for state, n in connection.execute(by_state)}
        counted = connection.scalar(select(func.count()).select_from(studies))
    return at, {**found, "studies": counted or 0}


def ended(db: Database, since: float = 0.0, sweep: str | None = None) -> list[Ended]:
    """The runs that ended ``since``, or shortly before.

    Args:
        since: A time on the database's clock.
        sweep: Runs of this sweep only.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    row = runs.c
    columns = row.id, row.state, row.attempt, row.started, row.finished
    late = row.state.in_(STATUSES), row.finished > since - SLACK
    with db.read() as connection:
        asked = select(*columns).where(*late, in_sweep(connection, sweep))
        return [Ended(*item) for item in connection.execute(asked)]


@dataclass(frozen=True)
class Holding:
    """What a worker holds.

    Attributes:
        owner: The worker, such as ``host:worker-0:0123abcd``.
        runs: How many runs.
        what: What it trains, as it says in its log.
        since: When it began, on the database's clock.
        lease: When others may take its runs, unless it shows up before; 0: now.
    """

    owner: str
    runs: int
    what: str
    since: float
    lease: float


def holdings(db: Database, sweep: str | None = None) -> list[Holding]:
    """What workers hold, in the order of their names.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    row = runs.c
    test = environments_text(row.test_environments).label("test")
    asked = select(
        row.owner, row.dataset, test, row.algorithm, row.optimizer, row.started, row.lease
    ).order_by(row.owner, row.position)
    held: dict[str, list[Any]] = {}
    with db.read() as connection:
        training = row.state == RUNNING, in_sweep(connection, sweep)
        for item in connection.execute(asked.where(*training)):
            held.setdefault(item.owner, []).append(item)
    return [_holding(owner, items) for owner, items in held.items()]


def _holding(owner: str, items: Sequence[Any]) -> Holding:
    places = dict.fromkeys(f"{item.dataset} [{item.test}], {item.algorithm}" for item in items)
    optimizers = sorted({item.optimizer for item in items})
    return Holding(
        owner,
        len(items),
        f"{' and '.join(places)}, {'/'.join(optimizers)}",
        min(item.started for item in items),
        max(item.lease for item in items),
    )
