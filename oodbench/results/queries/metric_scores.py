"""The scores of runs by another metric than accuracy, from what was measured at a checkpoint."""

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, func, select

from oodbench.errors import UnknownNameError
from oodbench.records import OOD_TEST
from oodbench.results.columns import BY_TARGET, SCORES
from oodbench.results.measurements import curves
from oodbench.results.schema import COMPLETED, runs

if TYPE_CHECKING:
    import pandas as pd


def role_means(connection: Connection, chosen: Select[Any]) -> "pd.DataFrame":
    """Measurements as means over environments.

    Args:
        chosen: A select of the keys of ``curves`` to group by.

    Returns:
        A row for each group: the keys, ``score`` (NaN if one value is not finite) and ``n``
        (missing if not known).
    """
    from oodbench.results.frames import frame_of

    point = curves.c
    statement = chosen.add_columns(
        func.avg(point.value).label("score"),
        func.nullif(func.sum(point.n), 0).label("n"),
        (func.count() - func.count(point.value)).label("not_finite"),
    ).group_by(*chosen.selected_columns)
    means = frame_of(connection.execute(statement), ["score"], ["n"])
    means["score"] = means["score"].where(means["not_finite"] == 0)
    return means


def with_metric(
    connection: Connection, frame: "pd.DataFrame", metric: str, checkpoint: str, chosen: Select[Any]
) -> "pd.DataFrame":
    """A table of runs with the scores of another metric in place of accuracies.

    They are unweighted means over environments, as accuracies are, and NaN where one of these is
    not finite. ``chance`` is NaN: it is an accuracy.

    Args:
        frame: What ``pairs`` makes.
        metric: The metric's name, as it was measured.
        checkpoint: Which checkpoint of a run is scored, one of ``CHECKPOINT_RULES``.
        chosen: A select of the runs' ids.

    Raises:
        UnknownNameError: If no run was scored by it; it lists those that there are.
    """
    import pandas as pd

    point, step = curves.c, runs.c.summary[(checkpoint, "step")].as_integer()
    measured = (
        select(point.run_id.label("run"), point.role)
        .join(runs, and_(runs.c.id == point.run_id, point.step == step))
        .where(point.metric == metric, runs.c.state == COMPLETED, runs.c.id.in_(chosen))
    )
    long = role_means(connection, measured)
    if long.empty and len(frame):
        known = connection.scalars(select(point.metric).distinct())
        raise UnknownNameError("metric", metric, known)
    cells = long.set_index(["run", "role"])
    result = frame.copy()
    for role in SCORES:
        for column, of in ((role, "score"), (f"n_{role}", "n")):
            mine: Any = cells[of].unstack("role").get(role, {})
            result[column] = result["run"].map(mine).astype(frame[column].dtype)
    for of in ("", "n_"):
        name, test, val = f"{of}id", result[f"{of}id_test"], result[f"{of}id_val"]
        result[name] = test.fillna(val)
        result[f"{of}ood"] = result[f"{of}ood_test"]
    result["chance"] = math.nan
    for name, scores in _on_environments(connection, result["run"], metric, checkpoint).items():
        result[name] = pd.Series(scores, result.index, dtype=object)
    return result


def _on_environments(
    connection: Connection, runs_: "pd.Series", metric: str, checkpoint: str
) -> dict[str, list[dict[str, Any] | None]]:
    """The OOD scores of runs on single environments, as summaries have those of targets."""
    point, step = curves.c, runs.c.summary[(checkpoint, "step")].as_integer()
    measured = (
        select(point.run_id, point.environment, point.value, point.n)
        .join(runs, and_(runs.c.id == point.run_id, point.step == step))
        .where(point.metric == metric, point.role == OOD_TEST, runs.c.state == COMPLETED)
    )
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for run, environment, value, n in connection.execute(measured):
        values, sizes = found.setdefault(run, ({}, {}))
        values[environment], sizes[environment] = value, n or None
    scores = [found.get(run, (None, None)) for run in runs_]
    return {name: [one[i] for one in scores] for i, name in enumerate(BY_TARGET)}
