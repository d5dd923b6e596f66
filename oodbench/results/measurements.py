"""The measurements of runs: a row of ``curves`` each, stored as a point of a series.

A description that many runs share, such as "accuracy on the test part of env1", is stored once.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from oodbench.results.connection.engines import insert_absent
from oodbench.results.schema import points, series
from oodbench.results.sweeps.lookup import chunks

METRIC = "accuracy"
"""The metric of summaries and scores."""

NAMES = ("environment", "split", "role", "metric")
"""What a series is about."""


def select_curves() -> Select[Any]:
    """The SELECT that the view ``curves`` consists of."""
    point = points.c
    names = (series.c[name] for name in NAMES)
    columns = (point.run_id, point.idx, point.step, *names, point.value, point.n)
    return select(*columns).join_from(points, series)


curves = select_curves().subquery("curves")


def put_curves(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store measurements, each behind those that its run has.

    Args:
        connection: Connection in a write transaction.
        rows: The columns of ``curves`` but ``idx``.
    """
    if not rows:
        return
    numbers = _numbered(connection, sorted({_names(row) for row in rows}))
    ends = _ends(connection, sorted({row["run_id"] for row in rows}))
    added = []
    for row in rows:
        run = row["run_id"]
        ends[run] = place = ends.get(run, -1) + 1
        own = {name: row[name] for name in ("run_id", "step", "value", "n")}
        added.append({**own, "idx": place, "series_id": numbers[_names(row)]})
    connection.execute(points.insert(), added)


def drop_curves(
    connection: Connection, ids: Sequence[str], metrics: Collection[str] | None = None
) -> None:
    """Remove what was measured of these runs; with ``metrics``, only theirs."""
    for some in chunks(ids):
        theirs = delete(points).where(points.c.run_id.in_(some))
        if metrics is not None:
            named = select(series.c.id).where(series.c.metric.in_(metrics))
            theirs = theirs.where(points.c.series_id.in_(named))
        connection.execute(theirs)


def _names(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in NAMES)


def _numbered(connection: Connection, wanted: Sequence[tuple[str, ...]]) -> dict[Any, int]:
    """The number of each series, in the order of names: so no two transactions wait in a circle."""
    columns = [series.c[name] for name in NAMES]
    alike = select(series.c.id, *columns).where(
        series.c.environment.in_({names[0] for names in wanted})
    )
    known = {tuple(row[1:]): row.id for row in connection.execute(alike)}
    new = [dict(zip(NAMES, names, strict=True)) for names in wanted if names not in known]
    if new:
        connection.execute(insert_absent(connection, series), new)
        known = {tuple(row[1:]): row.id for row in connection.execute(alike)}
    return known


def _ends(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The last place of each run that has measurements."""
    last = select(points.c.run_id, func.max(points.c.idx).label("idx")).group_by(points.c.run_id)
    found = {}
    for some in chunks(ids):
        rows = connection.execute(last.where(points.c.run_id.in_(some)))
        found.update({row.run_id: row.idx for row in rows})
    return found
