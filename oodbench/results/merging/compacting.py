"""Making a database smaller, without changing a score."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update

from oodbench.records import STATUSES
from oodbench.results.connection.address import parse_target
from oodbench.results.connection.database import Database, open_database
from oodbench.results.connection.failures import explain
from oodbench.results.probes import TRAINED
from oodbench.results.provenances import put_provenances
from oodbench.results.schema import points, runs, series
from oodbench.results.sweeps.lookup import chunks
from oodbench.results.trials import TRIAL, run_columns, trial_of


@dataclass(frozen=True)
class Compacted:
    """What was done.

    Attributes:
        url: The database, without its password.
        rewritten: Runs of an older schema that are stored in the current form now.
        dropped: Measurements that are gone.
        before: Bytes that the database took; None for a server.
        after: Bytes that it takes now; None for a server, which gives the space to new rows.
    """

    url: str
    rewritten: int
    dropped: int
    before: int | None = None
    after: int | None = None


def compact_database(target: str | Path, *, drop_curves: bool = False) -> Compacted:
    """Store runs of an older schema in the current form, and give free space back (SQLite).

    Args:
        target: Path or URL.
        drop_curves: Remove what training measured of finished runs between the checkpoints that are
            selected from, ``last`` and ``best_id_val``. All scores stay; learning curves do not.

    Raises:
        DatabaseError: If the database cannot be used.
    """
    with open_database(target) as db:
        with db.write() as connection:
            rewritten = _rewrite(connection)
            dropped = _drop(connection) if drop_curves else 0
        if db.engine.dialect.name != "sqlite":
            return Compacted(db.url, rewritten, dropped)
        before = _bytes(db)
        with explain(parse_target(target)), db.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM")  # in no transaction
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Compacted(db.url, rewritten, dropped, before, _bytes(db))


def _bytes(db: Database) -> int:
    with db.read() as connection:
        pages, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
            for name in ("page_count", "page_size")
        )
    return pages * size


def _rewrite(connection: Connection) -> int:
    """Store trials and provenances that are whole in their parts; how many runs had them."""
    whole = runs.c.trial["dataset"].as_string().is_not(None)
    old = list(connection.scalars(select(runs.c.id).where(whole)))
    values: dict[str, Any] = {name: bindparam(name) for name in ("trial", "provenance", "origin")}
    storing = update(runs).where(runs.c.id == bindparam("run")).values(**values)
    for some in chunks(old):
        columns = runs.c.id, runs.c.provenance, *TRIAL
        rows = connection.execute(select(*columns).where(runs.c.id.in_(some))).all()
        parts = put_provenances(connection, [row.provenance for row in rows])
        new = [
            {"run": row.id, "trial": run_columns(trial_of(row))["trial"], **part}
            for row, part in zip(rows, parts, strict=True)
        ]
        connection.execute(storing, new)
    return len(old)


def _drop(connection: Connection) -> int:
    """Remove measurements between checkpoints; how many."""
    there, trained = points.alias(), series.c.metric.in_(TRAINED)
    last = (
        select(func.max(there.c.step))
        .join(series, series.c.id == there.c.series_id)
        .where(there.c.run_id == points.c.run_id, trained)
        .correlate(points)
        .scalar_subquery()
    )
    best = (
        select(runs.c.summary[("best_id_val", "step")].as_integer())
        .where(runs.c.id == points.c.run_id)
        .correlate(points)
        .scalar_subquery()
    )
    dropping = delete(points).where(
        points.c.series_id.in_(select(series.c.id).where(trained)),
        points.c.run_id.in_(select(runs.c.id).where(runs.c.state.in_(STATUSES))),
        and_(points.c.step != last, or_(best.is_(None), points.c.step != best)),
    )
    return connection.execute(dropping).rowcount
