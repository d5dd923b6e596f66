"""The views: what users may read in SQL, and what ``query`` reads too.

``v_runs`` has a row for each run. ``v_pairs`` has one too, with the scores at the last checkpoint,
null for a run that is not completed. ``v_best`` has the run with the highest ``id_val`` for each
protocol, dataset, test environments, algorithm and optimizer.

``curves`` has a row for each measurement.

They are stored for other programs, and made anew when they lack a column: where a sweep is added,
runs are imported or merged (SQLite), and by ``oodbench db upgrade``. Whoever reads a database in
which they are outdated uses views of its own: so older and newer oodbenches can share one.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Dialect, Select, func, inspect, select

from oodbench.results.columns import GROUP, Column, columns_of_pairs, columns_of_runs, named
from oodbench.results.expressions import first_study
from oodbench.results.measurements import select_curves
from oodbench.results.schema import COMPLETED, CONFIRM, runs, studies


def _from_runs(columns: Iterable[Column]) -> Select[Any]:
    chosen = select(*(column.sql.label(column.name) for column in columns))
    return chosen.select_from(runs.outerjoin(studies, studies.c.id == first_study()))


def select_runs() -> Select[Any]:
    """The SELECT that the view ``v_runs`` consists of."""
    return _from_runs(columns_of_runs())


def select_pairs(checkpoint: str = "last") -> Select[Any]:
    """The select behind ``v_pairs``: scores at ``checkpoint``, a key of the runs' summaries."""
    return _from_runs(columns_of_pairs(checkpoint))


def select_best() -> Select[Any]:
    """The select behind ``v_best``; equal scores go to the smallest run id."""
    pairs = select_pairs().subquery("pairs")
    rank = func.row_number().over(
        partition_by=[pairs.c[name] for name in ("protocol", *GROUP)],
        order_by=[pairs.c.id_val.desc(), pairs.c.run],
    )
    searched = func.coalesce(pairs.c.sampler, "") != CONFIRM  # those repeat a winner
    candidates = pairs.c.status == COMPLETED, pairs.c.id_val.is_not(None), searched
    ranked = select(*pairs.c, rank.label("rank")).where(*candidates).subquery("ranked")
    return select(*(column for column in ranked.c if column.name != "rank")).where(
        ranked.c.rank == 1
    )


VIEWS = {
    "curves": select_curves,
    "v_runs": select_runs,
    "v_pairs": select_pairs,
    "v_best": select_best,
}


def view_sql(name: str, dialect: Dialect, kind: str = "VIEW") -> str:
    """The ``CREATE VIEW`` statement of one view."""
    compiled = VIEWS[name]().compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return f"CREATE {kind} {name} AS {compiled}"


def drop_views(connection: Connection) -> None:
    """Remove the views; SQLite can lose a table that is migrated under one."""
    stored = inspect(connection).get_view_names()  # in older databases, curves is a table
    for name in reversed(VIEWS):
        if name in stored:
            connection.exec_driver_sql(f"DROP VIEW {name}")


def create_views(connection: Connection, kind: str = "VIEW") -> None:
    """Make the views, as this version of oodbench defines them."""
    for name in VIEWS:
        connection.exec_driver_sql(view_sql(name, connection.dialect, kind))


def are_outdated(connection: Connection) -> bool:
    """Whether a view is missing or lacks a column. Those of a newer oodbench have all of ours."""
    database, pairs = inspect(connection), columns_of_pairs()
    stored = {
        name: {column["name"] for column in database.get_columns(name)}
        for name in database.get_view_names()
    }
    ours = {
        "curves": select_curves().selected_columns.keys(),
        "v_runs": named(columns_of_runs()),
        **dict.fromkeys(("v_pairs", "v_best"), named(pairs)),
    }
    return any(not stored.get(n, set()).issuperset(has) for n, has in ours.items())
