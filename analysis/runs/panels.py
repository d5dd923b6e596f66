"""The runs of one panel: those with scores, and the count of those without."""

from dataclasses import dataclass

import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.select import drawn
from oodbench.results.targets import TARGET

from .columns import GROUP, count_statuses, in_first_appearance, require, values_of
from .names import group_name
from .remarks import remarks_of


@dataclass(frozen=True)
class Panel:
    """The runs of one dataset, choice of test environments and algorithm.

    Attributes:
        dataset, algorithm: Names of the dataset and algorithm.
        test_environments: Test environments as text, such as ``"2"`` or ``"0,1"``.
        runs: The completed runs with both scores: the columns of the table (id and ood are
            fractions) and gap (``id - ood``).
        lost: The runs that diverged or failed, with the columns of the table.
        counts: One row an optimizer, in order of first appearance; columns ``STATUS_COLUMNS``.
        chance: Chance accuracy of the dataset, or None where it is not known.
        n_id: Smallest and largest number of ID test examples behind a point, if known.
        n_ood: Smallest and largest number of OOD test examples behind a point, if known.
        remarks: What a reader must know about the runs that were pooled.
        score: What ``id`` and ``ood`` are, such as ``accuracy`` or ``worst group accuracy``.
        target: The target that the runs were tested on, of a dataset that has several; else empty.
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
    target: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The panel's values of the columns ``GROUP``."""
        return self.dataset, self.test_environments, self.algorithm

    def of(self, optimizer: str) -> pd.DataFrame:
        """The drawn runs of one optimizer; empty if none has scores."""
        return self.runs[self.runs["optimizer"] == optimizer]

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines for over a figure: which panel it is, what stands behind it, the remarks."""
        examples = f"{_count_text(self.n_id)} ID and {_count_text(self.n_ood)} OOD examples"
        total = int(self.counts.to_numpy().sum())
        return (
            group_name(*self.key),
            "no completed run"
            if self.runs.empty
            else f"{len(self.runs):,} of {total:,} runs, on {examples}",
            *self.remarks,
        )


def panels(
    pairs: pd.DataFrame, dataset: str | None = None, algorithm: str | None = None
) -> tuple[Panel, ...]:
    """The runs of every dataset, choice of test environments and algorithm, in that order.

    Runs that repeat a winner on other seeds are left out: they are no draws from the search space.

    Args:
        pairs: A row a run; needs run, dataset, test_environments, algorithm, optimizer, status,
            id and ood. chance, n_id, n_ood, sampler, model and steps are used where present.
        dataset, algorithm: Only this one.

    Raises:
        RequestError: No runs at all, or none of this dataset with this algorithm.
        UnknownNameError: No run of that dataset, or with that algorithm.
    """
    by_panel = rows_by_panel(pairs, dataset, algorithm)
    return tuple(panel_of(key, rows) for key, rows in by_panel.items())


def rows_by_panel(
    pairs: pd.DataFrame, dataset: str | None = None, algorithm: str | None = None
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The key of each panel and all of its rows, also those that repeat a winner.

    Args, Raises: as for ``panels``, whose order they have.
    """
    require(pairs, ("id", "ood"))
    for column, value in (("dataset", dataset), ("algorithm", algorithm)):
        if value is not None:
            check_name(column, value, map(str, drawn(pairs)[column].unique()))
    for column, value in (("dataset", dataset), ("algorithm", algorithm)):
        if value is not None:
            pairs = pairs[pairs[column] == value]
    first = drawn(pairs)[[*GROUP, "optimizer"]]
    if first.empty:
        raise RequestError(
            f"No run of dataset {dataset!r} used the algorithm {algorithm!r}. Drop one of the two "
            "filters, or train those runs first."
        )
    keys = first.drop_duplicates(list(GROUP)).assign(optimizer=first["optimizer"].iloc[0])
    ordered = in_first_appearance(keys, first)[list(GROUP)].itertuples(index=False)
    found = dict(iter(pairs.groupby([pairs[name].astype(str) for name in GROUP], sort=False)))
    keyed = ((str(a), str(b), str(c)) for a, b, c in ordered)
    return {key: found[key] for key in keyed}


def chance_of(rows: pd.DataFrame) -> float | None:
    """Chance accuracy of a panel's dataset, or None where it is not known."""
    known = values_of(rows, "chance")
    return float(known.iloc[0]) if len(known) else None


def panel_of(key: tuple[str, str, str], rows: pd.DataFrame) -> Panel:
    """The panel of an item of ``rows_by_panel``."""
    mine = drawn(rows)
    scored = (mine["status"] == "completed") & mine["id"].notna() & mine["ood"].notna()
    score, target = values_of(mine, "scored_by"), values_of(mine, TARGET)
    runs = mine[scored].reset_index(drop=True).astype({"id": float, "ood": float})
    return Panel(
        *key,
        runs.assign(gap=runs["id"] - runs["ood"]),
        mine[mine["status"].isin(["diverged", "failed"])].reset_index(drop=True),
        count_statuses(mine),
        chance_of(mine),
        _extent(runs, "n_id"),
        _extent(runs, "n_ood"),
        remarks_of(mine, int((mine["status"] == "completed").sum()) - len(runs)),
        str(score.iloc[0]).replace("_", " ") if len(score) else "accuracy",
        str(target.iloc[0]) if len(target) else "",
    )


def _extent(runs: pd.DataFrame, column: str) -> tuple[int, int] | None:
    known = values_of(runs, column)
    return (int(known.min()), int(known.max())) if len(known) else None


def _count_text(extent: tuple[int, int] | None) -> str:
    """A number of examples, or its range, for a reader."""
    if extent is None:
        return "?"
    low, high = extent
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
