"""The runs of one panel: those with scores, and the count of those without."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.records import IMPORTED
from oodbench.results import UNKNOWN
from oodbench.results.select import check_protocols, drawn

from .names import group_name

GROUP = ("dataset", "test_environments", "algorithm")
"""What tells one panel, and one table, from another."""

BY = (*GROUP, "optimizer")
"""What tells one row of a table from another."""

STATUS_COLUMNS = ("completed", "diverged", "failed", "pending")
"""Columns of a table of counts; ``pending`` runs are still waiting or running."""

SETTINGS = ("model", "model_options", "algorithm_options", "dataset_options", "batch")
"""Columns of settings; a missing value means that nothing differs from the defaults."""

MOST = 12
"""Values that a remark lists; imported tables may have thousands of models."""

DESIGNS = frozenset({"random", "qmc", "grid", UNKNOWN})
"""Samplers whose draws do not depend on earlier results; of imported runs it may not be known."""


@dataclass(frozen=True)
class Panel:
    """The runs of one dataset, choice of test environments and algorithm.

    Attributes:
        dataset: Its name.
        test_environments: As text, such as ``"2"`` or ``"0,1"``.
        algorithm: Its name.
        runs: The completed runs with both scores: the columns of the table (id and ood are
            fractions) and gap (``id - ood``).
        lost: The runs that diverged or failed, with the columns of the table.
        counts: One row an optimizer, in order of first appearance; columns ``STATUS_COLUMNS``.
        chance: Chance accuracy of the dataset, or None where it is not known.
        n_id: Smallest and largest number of ID test examples behind a point, if known.
        n_ood: Likewise for OOD.
        remarks: What a reader must know about the runs that were pooled.
        score: What ``id`` and ``ood`` are, such as ``accuracy`` or ``worst group accuracy``.
    """

    dataset: str
    test_environments: str
    algorithm: str
    runs: pd.DataFrame
    lost: pd.DataFrame
    counts: pd.DataFrame
    chance: float | None
    n_id: tuple[int, int] | None
    n_ood: tuple[int, int] | None
    remarks: tuple[str, ...]
    score: str = "accuracy"

    def of(self, optimizer: str) -> pd.DataFrame:
        """The drawn runs of one optimizer; empty if none has scores."""
        return self.runs[self.runs["optimizer"] == optimizer]

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines for over a figure: which panel it is, what stands behind it, the remarks."""
        examples = f"{_count_text(self.n_id)} ID and {_count_text(self.n_ood)} OOD examples"
        total = int(self.counts.to_numpy().sum())
        return (
            group_name(self.dataset, self.test_environments, self.algorithm),
            "no completed run"
            if self.runs.empty
            else f"{len(self.runs):,} of {total:,} runs, on {examples}",
            *self.remarks,
        )


def require(pairs: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Refuse a table that has no runs or lacks a column.

    Raises:
        RequestError: No rows, a column of ``columns`` or of the groups is missing, or runs of
            different protocols would be pooled.
    """
    needed = ("run", *GROUP, "optimizer", "status", *columns)
    missing = [name for name in needed if name not in pairs.columns]
    if missing:
        raise RequestError(
            f"The table of runs needs the columns {', '.join(needed)}; it lacks "
            f"{', '.join(missing)}. Pass what oodbench.results.query.pairs returns."
        )
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


def panels(
    pairs: pd.DataFrame, dataset: str | None = None, algorithm: str | None = None
) -> tuple[Panel, ...]:
    """The runs of every dataset, choice of test environments and algorithm, in that order.

    Runs that repeat a winner on other seeds are left out: they are no draws from the search space.

    Args:
        pairs: A row a run; needs run, dataset, test_environments, algorithm, optimizer, status,
            id and ood. chance, n_id, n_ood, sampler, model and steps are used where present.
        dataset: Only this one.
        algorithm: Only this one.

    Raises:
        RequestError: No runs at all, or none of this dataset with this algorithm.
        UnknownNameError: No run of that dataset, or with that algorithm.
    """
    require(pairs, ("id", "ood"))
    chosen = pairs = drawn(pairs)
    for column, value in (("dataset", dataset), ("algorithm", algorithm)):
        if value is not None:
            check_name(column, value, map(str, pairs[column].unique()))
            chosen = chosen[chosen[column] == value]
    if chosen.empty:
        raise RequestError(
            f"No run of dataset {dataset!r} used the algorithm {algorithm!r}. Drop one of the two "
            "filters, or train those runs first."
        )
    keys = chosen[list(GROUP)].drop_duplicates().assign(optimizer=chosen["optimizer"].iloc[0])
    ordered = in_first_appearance(keys, chosen)[list(GROUP)]
    return tuple(_panel(chosen, *map(str, key)) for key in ordered.itertuples(index=False))


def by_dataset(found: Sequence[Panel]) -> tuple[tuple[Panel, ...], ...]:
    """Panels in rows: one dataset and choice of test environments a row, one algorithm a panel."""
    rows: dict[tuple[str, str], list[Panel]] = {}
    for panel in found:
        rows.setdefault((panel.dataset, panel.test_environments), []).append(panel)
    return tuple(tuple(row) for row in rows.values())


def rows_of(
    table: pd.DataFrame, dataset: str, test_environments: str, algorithm: str
) -> pd.DataFrame:
    """The rows of one group, of a table that has the columns ``GROUP``."""
    wanted = zip(GROUP, (dataset, test_environments, algorithm), strict=True)
    return table[np.logical_and.reduce([table[name].astype(str) == key for name, key in wanted])]


def _panel(pairs: pd.DataFrame, dataset: str, test_environments: str, algorithm: str) -> Panel:
    mine = rows_of(pairs, dataset, test_environments, algorithm)
    scored = (mine["status"] == "completed") & mine["id"].notna() & mine["ood"].notna()
    runs = mine[scored].reset_index(drop=True).astype({"id": float, "ood": float})
    return Panel(
        dataset,
        test_environments,
        algorithm,
        runs.assign(gap=runs["id"] - runs["ood"]),
        mine[mine["status"].isin(["diverged", "failed"])].reset_index(drop=True),
        count_statuses(mine),
        _chance(mine),
        _extent(mine[scored], "n_id"),
        _extent(mine[scored], "n_ood"),
        _remarks(mine, int((mine["status"] == "completed").sum()) - len(runs)),
        *(str(name).replace("_", " ") for name in values_of(mine, "scored_by").unique()[:1]),
    )


def values_of(runs: pd.DataFrame, column: str) -> pd.Series:
    """The values of a column that need not be there."""
    return runs[column].dropna() if column in runs.columns else pd.Series(dtype=float)


def _chance(runs: pd.DataFrame) -> float | None:
    known = values_of(runs, "chance")
    return float(known.iloc[0]) if len(known) else None


def _extent(runs: pd.DataFrame, column: str) -> tuple[int, int] | None:
    known = values_of(runs, column)
    return (int(known.min()), int(known.max())) if len(known) else None


def frozen_remark(runs: pd.DataFrame) -> str:
    """Which backbones were not trained, but a head on their features; empty if all were."""
    if not {"model", "model_options"} <= set(runs.columns):
        return ""
    kinds = runs[["model", "model_options"]].drop_duplicates().itertuples(index=False)
    frozen = sorted({str(model) for model, options in kinds if '"train":"head"' in str(options)})
    return f"backbone frozen, a head trained: {', '.join(frozen)}" if frozen else ""


def _remarks(runs: pd.DataFrame, unscored: int) -> tuple[str, ...]:
    """Whatever would mislead if it went unsaid: pooled settings, adaptive search, lost scores."""
    remarks = [
        f"imported from {str(name).removeprefix(IMPORTED)}"
        for name in values_of(runs, "protocol").unique()
        if str(name).startswith(IMPORTED)
    ]
    remarks += [text] if (text := frozen_remark(runs)) else []
    for column in (*SETTINGS, "precision", "steps", "checkpoint", "sampler"):
        known = values_of(runs, column)
        if column in SETTINGS and column in runs.columns:
            known = runs[column].fillna("default")
        values = sorted(
            (str(value) for value in known.unique()), key=lambda text: (len(text), text)
        )
        if len(values) > 1:
            told = ", ".join(values) if len(values) <= MOST else f"{len(values):,} of them"
            remarks.append(f"pooled over {column}: {told}")
        elif values and column == "steps":  # algorithms often differ in their budget
            remarks.append(f"{int(float(values[0])):,} steps")
        elif values == [UNKNOWN] or (column == "steps" and values == ["0"]):
            remarks.append(f"{column} not known")
        elif column == "sampler" and not DESIGNS.issuperset(values):
            remarks.append(f"found by an adaptive search: {values[0]}")
    if "subpopulation" in set(values_of(runs, "shift")):
        remarks.append("subpopulation shift: OOD accuracy is that of the worst group")
    scored = runs[runs["id"].notna()]
    if "id_test" in runs.columns and scored["id_test"].isna().any():
        remarks.append("ID scores are of validation examples: there is no ID test split")
    if unscored:
        remarks.append(f"{unscored} completed without an ID or OOD score, not drawn")
    return tuple(remarks)


def _count_text(extent: tuple[int, int] | None) -> str:
    """A number of examples, or its range, for a reader."""
    if extent is None:
        return "?"
    low, high = extent
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
