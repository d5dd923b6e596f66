"""Tables of runs: the columns that identify rows; how rows are checked, counted and sorted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from oodbench.errors import RequestError
from oodbench.results import UNKNOWN
from oodbench.results.select import check_protocols
from oodbench.results.targets import TARGET, TARGETS

GROUP = ("dataset", "test_environments", "algorithm")
"""Columns that identify a panel, and a table."""

BY = (*GROUP, "optimizer")
"""Columns that identify a row of a table."""

STATUS_COLUMNS = ("completed", "diverged", "failed", "pending")
"""Columns of a table of counts; ``pending`` runs are still waiting or running."""

TESTBED = "testbed"
"""Column of a text that runs share which were trained alike, but for optimizers and seeds."""

ADDED = (
    *("checkpoint", "worst_group_val", "leave_one_environment_out", "gap", "rule", "draw", TARGET),
    TESTBED,
)
"""Columns of a table of runs that are neither in the view ``v_pairs`` nor hyperparameters."""

DESIGNS = frozenset({"random", "qmc", "grid", UNKNOWN})
"""Samplers whose draws do not depend on earlier results; of imported runs it may not be known."""


def require_columns(pairs: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Refuse a table that lacks a column of ``columns`` or of the groups; it may be empty.

    Raises:
        RequestError: A column is missing.
    """
    needed = ("run", *GROUP, "optimizer", "status", *columns)
    missing = [name for name in needed if name not in pairs.columns]
    if missing:
        raise RequestError(
            f"The table of runs needs the columns {', '.join(needed)}; it lacks "
            f"{', '.join(missing)}. Pass what oodbench.results.query.pairs returns."
        )


def require(pairs: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Refuse a table that has no runs or lacks a column.

    Raises:
        RequestError: No rows, a column of ``columns`` or of the groups is missing, there is not
            yet a row for each target, or runs of different protocols would be pooled.
    """
    if TARGETS in pairs.columns:
        raise RequestError(
            "Some runs here are tested on several targets, and each target needs a row of its own: "
            "pass oodbench.results.targets.by_target(pairs)."
        )
    require_columns(pairs, columns)
    if pairs.empty:
        raise RequestError(
            "There are no runs here: the table has 0 rows. Check the database and any filter, "
            "or let a worker train some first (oodbench status shows what is waiting)."
        )
    check_protocols(pairs)


def count_statuses(pairs: pd.DataFrame, by: Sequence[str] = ("optimizer",)) -> pd.DataFrame:
    """How many runs of each group completed, diverged, failed or are pending.

    Groups keep their order of first appearance; the index holds ``by``.
    """
    state = pairs["status"].replace({"waiting": "pending", "running": "pending"})
    flags = pd.DataFrame({name: (state == name).astype(int) for name in STATUS_COLUMNS})
    keys = [pairs[name] for name in by]
    return flags.groupby(keys, sort=False).sum()


def in_first_appearance(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The table's rows sorted by dataset, test environments, algorithm and optimizer.

    Each of the four follows the order in which ``pairs`` first shows its values.
    """
    keys = [*GROUP, "optimizer"]
    ranks = {
        name: {value: rank for rank, value in enumerate(pd.unique(pairs[name]))} for name in keys
    }
    return table.sort_values(
        keys, key=lambda column: column.map(ranks[str(column.name)]), ignore_index=True
    )


def rows_of(
    table: pd.DataFrame, dataset: str, test_environments: str, algorithm: str
) -> pd.DataFrame:
    """The rows of one group, of a table that has the columns ``GROUP``."""
    wanted = zip(GROUP, (dataset, test_environments, algorithm), strict=True)
    return table[np.logical_and.reduce([table[name].astype(str) == key for name, key in wanted])]


def values_of(runs: pd.DataFrame, column: str) -> pd.Series:
    """The values of a column that need not be there."""
    return runs[column].dropna() if column in runs.columns else pd.Series(dtype=float)


def hyperparameters_of(pairs: pd.DataFrame) -> list[str]:
    """The columns that hold values and that not every table of runs has."""
    from oodbench.results.views import select_pairs

    known = {*select_pairs().selected_columns.keys(), *ADDED}
    return [str(name) for name in pairs.columns if name not in known and pairs[name].notna().any()]
