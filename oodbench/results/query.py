"""Questions to the database, answered as pandas DataFrames."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ColumnElement, Connection, Result, Select, Subquery, func, select

from oodbench.errors import check_name
from oodbench.records import MEASURED, ROLES
from oodbench.results import schema
from oodbench.results.columns import BY_TARGET, Column, columns_of_pairs, columns_of_runs, named
from oodbench.results.connection.database import Database
from oodbench.results.measurements import METRIC
from oodbench.results.measurements import curves as measured_curves
from oodbench.results.queries.environment_scores import environment_scores
from oodbench.results.queries.hparams import NamesOfRuns, hparam_names
from oodbench.results.queries.metric_scores import role_means, with_metric
from oodbench.results.queries.rawsql import sql as sql
from oodbench.results.queries.targets import (
    have_targets,
    of_checkpoints,
    target_columns,
    with_targets,
)
from oodbench.results.queries.where import compile_where
from oodbench.results.select import CHECKPOINT_RULES
from oodbench.results.store import find_run
from oodbench.results.sweeps.lookup import chunks, in_sweep, studies_of
from oodbench.results.views import select_pairs, select_runs

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("dataset", "algorithm", "optimizer", "model")
"""Columns whose values a condition may not miss."""


def runs(db: Database, where: str | None = None, sweep: str | None = None) -> "pd.DataFrame":
    """A row for each run, whatever its status, with a column for each hyperparameter.

    Args:
        where: A condition, see ``oodbench.results.queries.where``.
        sweep: Runs of this sweep only.

    Returns:
        The columns of the view ``v_runs`` and the hyperparameters, in the order of claiming. Times
        are seconds since 1970 on the database's clock; ``seconds`` is the run's share of the time
        that its stack trained.

    Raises:
        QueryError: If the condition is not one.
        UnknownNameError: If it names no column or hyperparameter, or there is no such sweep.
    """
    from oodbench.results.frames import spread

    view = select_runs().subquery("v_runs")
    with db.read() as connection:
        statement = _filtered(connection, view, where, sweep).order_by(view.c.position)
        frame = _without_unknown_steps(_typed(connection.execute(statement), columns_of_runs()))
    return spread(frame.drop(columns=["summary", "facts"]))


def pairs(
    db: Database,
    where: str | None = None,
    sweep: str | None = None,
    checkpoint: str = "last",
    per_environment: bool = True,
    metric: str = METRIC,
    limit: int | None = None,
    columns: Collection[str] | None = None,
) -> "pd.DataFrame":
    """A row for each run with its scores: ``id`` against ``ood``, and what they are made of.

    Scores are fractions, unweighted means over environments; ``n_*`` are numbers of examples. They
    are NaN for a run that is not completed. ``id`` is ``id_test``, or ``id_val`` for a dataset
    without; ``ood`` is ``ood_test``. A run that is tested on several targets of its dataset has no
    ``ood``, unless their mean is meant, but ``ood[NAME]`` for each; see
    ``oodbench.results.targets.by_target``.

    Args:
        where: A condition, see ``oodbench.results.queries.where``; scores are at ``checkpoint``.
        sweep: Runs of this sweep only.
        checkpoint: Which checkpoint of a run is scored, one of ``CHECKPOINT_RULES``.
        per_environment: With the two scores that rest on single environments; see Returns.
        metric: Metric of the scores, in place of accuracy; a condition still reads accuracy.
        limit: So many of them at most, the first ones; None: all.
        columns: The only columns of ``v_pairs`` to read, ``run`` and ``step`` among them: of a
            large database it takes less time. Without ``hparams`` there are no hyperparameters.

    Returns:
        The columns of the view ``v_pairs``, ``checkpoint``, ``worst_group_val`` and
        ``leave_one_environment_out`` (see ``oodbench.results.queries.environment_scores``), those
        of targets, if there are any, and the hyperparameters.

    Raises:
        QueryError: If the condition is not one.
        UnknownNameError: If it names no column or hyperparameter, or there is no such sweep or
            checkpoint rule, or no run has scores of this metric.
    """
    from oodbench.results.frames import spread

    check_name("checkpoint rule", checkpoint, CHECKPOINT_RULES)
    view = select_pairs(checkpoint).subquery("v_pairs")
    with db.read() as connection:
        statement = _filtered(connection, view, where, sweep)
        chosen = statement.with_only_columns(view.c.run)
        ordered = statement.order_by(view.c.position, view.c.run)
        if limit is not None:
            ordered = ordered.limit(limit)
            chosen = ordered.with_only_columns(view.c.run)
        targets = have_targets(connection)
        read = [
            column
            for column in columns_of_pairs(checkpoint)
            if (targets if column.name in BY_TARGET else columns is None or column.name in columns)
        ]
        ordered = ordered.with_only_columns(*(view.c[column.name] for column in read))
        frame = _typed(connection.execute(ordered), read)
        if metric != METRIC:
            frame = with_metric(connection, frame, metric, checkpoint, chosen)
        scores = environment_scores(connection, checkpoint, chosen) if per_environment else {}
        frame = with_targets(connection, frame)
    frame = _without_unknown_steps(frame)
    frame.insert(list(frame.columns).index("step"), "checkpoint", checkpoint)
    for name, values in scores.items():
        column = frame["run"].map(values).astype("float64")
        frame.insert(list(frame.columns).index("n_id_val"), name, column)
    return spread(frame) if "hparams" in frame else frame


def count_runs(
    db: Database, where: str | None = None, sweep: str | None = None, checkpoint: str = "last"
) -> int:
    """How many rows ``pairs`` has; see there for arguments and errors."""
    check_name("checkpoint rule", checkpoint, CHECKPOINT_RULES)
    view = select_pairs(checkpoint).subquery("v_pairs")
    with db.read() as connection:
        # Of a plain count SQLite would keep the join with studies, which no condition may read.
        count = func.count(view.c.run).over()
        statement = _filtered(connection, view, where, sweep, count)
        return connection.scalar(statement.limit(1)) or 0


def checkpoints(
    db: Database,
    where: str | None = None,
    sweep: str | None = None,
    ids: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """A row for each checkpoint of each run: accuracy for each role, and ``n_<role>``.

    Args:
        where: A condition on the runs, with scores of the last checkpoint.
        sweep: Runs of this sweep only.
        ids: In place of both: these runs.

    Returns:
        ``run``, ``step`` and the scores, which are NaN where a role was not measured, or an
        environment's score was not finite; and the columns of targets, as ``pairs`` has them. Runs
        that diverged or failed are included: their checkpoints can be looked at, but not selected.

    Raises:
        QueryError: If the condition is not one.
        UnknownNameError: If it names no column or hyperparameter, or there is no such sweep.
    """
    import pandas as pd

    point = measured_curves.c
    with db.read() as connection:
        chosen = chosen_runs(connection, where, sweep)
        measured = select(point.run_id.label("run"), point.step, point.role).where(
            point.metric == METRIC, point.role != MEASURED
        )
        parts: list[Any] = [chosen] if ids is None else [*chunks(ids)] or [[]]
        means = [role_means(connection, measured.where(point.run_id.in_(mine))) for mine in parts]
    long = pd.concat(means, ignore_index=True)
    cells = long.set_index(["run", "step", "role"])
    found = [role for role in ROLES if (long["role"] == role).any()]
    scores = cells["score"].unstack("role").reindex(columns=found)
    sizes = cells["n"].unstack("role").reindex(columns=found).add_prefix("n_")
    frame = scores.join(sizes).rename_axis(columns=None).reset_index()
    with db.read() as connection:
        return of_checkpoints(connection, frame, chosen)


def curves(db: Database, run: str) -> "pd.DataFrame":
    """Every measurement of one run, in the order in which it was made.

    Args:
        run: The run's id, or enough of its beginning.

    Raises:
        QueryError: If no run or several begin so.
    """
    from oodbench.results.frames import frame_of

    with db.read() as connection:
        mine = measured_curves.c.run_id == find_run(connection, run)
        statement = select(*(column for column in measured_curves.c if column.name != "idx"))
        result = connection.execute(statement.where(mine).order_by(measured_curves.c.idx))
        return frame_of(result, ["value"]).rename(columns={"run_id": "run"})


def searched_scale(db: Database, hyperparameter: str, sweep: str | None = None) -> str | None:
    """The scale of a hyperparameter's search: ``uniform``, ``int``, ``log`` or ``one_minus_log``.

    Args:
        hyperparameter: Name of the hyperparameter.
        sweep: Only the studies of this sweep.

    Returns:
        None if no study searched it in a range, or if studies differ in its scale.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        mine = select(schema.studies.c.space).where(studies_of(connection, sweep))
        ranges = [space.get(hyperparameter) for space in connection.scalars(mine)]
    found = {scale for what in ranges if isinstance(what, dict) for scale in what} - {"choice"}
    return found.pop() if len(found) == 1 else None


def chosen_runs(connection: Connection, where: str | None, sweep: str | None) -> Select[Any]:
    """Ids of the runs that meet a condition, with scores of the last checkpoint."""
    view = select_pairs().subquery("v_pairs")
    return _filtered(connection, view, where, sweep, view.c.run)


def _typed(result: "Result[Any]", columns: Sequence[Column]) -> "pd.DataFrame":
    from oodbench.results.frames import frame_of

    return frame_of(result, named(columns, "number"), named(columns, "count"))


def _without_unknown_steps(frame: "pd.DataFrame") -> "pd.DataFrame":
    """0 stands in the database where the steps of an imported run are not known."""
    for name in frame.columns.intersection(["steps", "step"]):
        unknown = frame[name] == 0
        if unknown.any():
            frame[name] = frame[name].astype("Int64").mask(unknown)
    return frame


def _filtered(
    connection: Connection,
    view: Subquery,
    where: str | None,
    sweep: str | None,
    *columns: ColumnElement[Any],
) -> Select[Any]:
    statement = select(*(columns or view.c))
    if sweep is not None:
        mine = select(schema.runs.c.id).where(in_sweep(connection, sweep))
        statement = statement.where(view.c.run.in_(mine))
    if where is not None:
        plain = {c.name: c for c in view.c if not isinstance(c.type, JSON)}
        of_targets = target_columns(connection, dict(view.c))
        named_in = {**plain, **of_targets, "hparams": view.c.hparams}
        known = partial(_values, connection)
        condition = compile_where(where, named_in, partial(hparam_names, connection), known)
        statement = statement.where(condition)
    return statement


def _values(connection: Connection, name: str) -> Collection[str]:
    """The datasets, algorithms, optimizers or models that there are runs of."""
    if name not in NAMES:
        return ()
    column = schema.runs.c[name]
    return NamesOfRuns(connection, lambda value: column == value, select(column))
