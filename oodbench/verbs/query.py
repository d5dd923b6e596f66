"""The verb ``query``: runs with their scores."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from oodbench import results
from oodbench.errors import RequestError
from oodbench.metrics import LOWER
from oodbench.results import Database, count_runs, open_database, pairs
from oodbench.results.select import select as select_runs

TEST_SCORES = r"\b(ood|ood_test|oracle_val)\b"
"""Columns that only the rule ``oracle`` may look at."""
FIRST = ("optimizer", "id", "ood", "n_id", "n_ood")
"""Columns that stand first: of a wide table, pandas shows the ends."""


def query(
    db: str | Path,
    where: str | None = None,
    *,
    select: str | None = None,
    sql: str | None = None,
    sweep: str | None = None,
    checkpoint: str = "last",
    metric: str = "accuracy",
) -> pd.DataFrame:
    """Runs with their scores, as a DataFrame.

    Args:
        db: URL or path of the database.
        where: A condition on columns and hyperparameters:
            ``"optimizer = 'adam' and lr < 1e-3 and status = 'completed'"``.
        select: A run rule (``id_val``, ``worst_group_val``, ``ood_val``,
            ``leave_one_environment_out``, ``oracle``): only the run that it selects in each
            (dataset, test environments, algorithm, optimizer), among those that match ``where``.
        sql: Instead of the above, a SQL question; the connection is read-only. Views: ``v_runs``,
            ``v_pairs``, ``v_best``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored: ``last`` or ``best_id_val``.
        metric: Metric of the scores, in place of accuracy, such as ``worst_group_accuracy``: what
            datasets with published splits are scored by. Conditions and checkpoints go by accuracy.

    Returns:
        A row a run: optimizer, ``id`` and ``ood`` accuracy and their numbers of examples first,
        then which run it is, what the scores are made of, status, hyperparameters.

    Raises:
        QueryError: If the condition or the SQL cannot be answered.
        UnknownNameError: If a column, a rule or the sweep does not exist.
        RequestError: If ``where`` looks at test scores before a rule that may not.
    """
    check_combination(where, select, sql, sweep, metric)
    with open_database(db, read_only=True) as database:
        if sql is not None:
            return results.sql(database, sql)
        frame = pairs(database, where, sweep, checkpoint, metric=metric)
    return scores_first(frame if select is None else select_runs(frame, select))


def first_runs(
    db: str | Path,
    where: str | None = None,
    *,
    limit: int,
    sweep: str | None = None,
    checkpoint: str = "last",
) -> tuple[pd.DataFrame, int]:
    """The first rows of what ``query`` returns without selection, and how many there are.

    Args:
        limit: Rows at most.
        db, where, sweep, checkpoint: As there, with its errors.
    """
    with open_database(db, read_only=True) as database:
        frame = pairs(database, where, sweep, checkpoint, limit=limit)
        return scores_first(frame), count_runs(database, where, sweep, checkpoint)


def read_runs(
    db: Database,
    where: str | None = None,
    sweep: str | None = None,
    checkpoint: str = "last",
    rule: str = "id_val",
    columns: Collection[str] | None = None,
) -> pd.DataFrame:
    """The runs with the scores that ``rule`` reads: those of single environments take a while."""
    single = rule != "id_val"
    columns = None if single else columns
    return pairs(db, where, sweep, checkpoint, per_environment=single, columns=columns)


def scores_first(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns ``FIRST`` before the others."""
    return frame[[*FIRST, *frame.columns.drop([*FIRST])]]


def check_combination(
    where: str | None, select: str | None, sql: str | None, sweep: str | None, metric: str
) -> None:
    """Refuse questions that exclude each other."""
    if where and select not in (None, "oracle") and re.search(TEST_SCORES, where):
        raise RequestError(
            f"The rule {select} never looks at test scores, but {where!r} would drop runs by "
            "theirs before it selects. Filter what it selects instead, or select by oracle."
        )
    if select and metric in LOWER:
        raise RequestError(f"Selection takes the highest score, but {metric} is better if lower.")
    if sql is not None and (where or select or sweep):
        raise RequestError("sql goes alone: put conditions into the SQL itself.")
