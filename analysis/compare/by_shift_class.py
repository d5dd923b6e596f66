"""Optimizers compared by class of shift: correlation shift apart from diversity shift."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from ..runs.trials import check_trials, trials_of
from .tasks import compare_across

UNKNOWN = ""
"""The class of a dataset that declares none, or whose measurement is not clear."""

COLUMNS = ("shift", "datasets", "chance", "algorithm", "a", "b", "score", "tasks")
"""Of a table without rows."""


def classes_of(pairs: pd.DataFrame) -> "pd.Series[str]":
    """The class of shift of each run's dataset; ``UNKNOWN`` where it is not known."""
    shift = pairs.get("shift", pd.Series(UNKNOWN, index=pairs.index))
    return shift.fillna(UNKNOWN).astype(str)


def compare_by_class(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    by: Literal["optimizer", "kind"] = "optimizer",
    **options: Any,
) -> pd.DataFrame:
    """``compare_across`` over the datasets of each class of shift, one class after the other.

    Datasets without trials (``trials_of``) are left out, such as those without the
    score that the rule reads; ``datasets`` names the others. So are, of a class and algorithm,
    optimizers without trials on some dataset: a mean over other datasets would not compare them.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` is the class.
        rule, by, options: As for ``analysis.compare_across``.

    Returns:
        Its rows, and before them ``shift`` (the class; empty where unknown), ``datasets`` (their
        names) and ``chance`` (mean chance accuracy over the datasets, where known). A class and
        algorithm without two optimizers (or both kinds) on all of its datasets has no rows.

    Raises:
        RequestError: As there, if it is so of every class.
        UnknownNameError: As there.
    """
    check_trials(pairs, rule)
    tables, trials = [], trials_of(pairs, rule)
    for (shift, _), runs in trials.groupby([classes_of(trials), trials["algorithm"]], sort=False):
        tasks = runs.groupby(["dataset", "test_environments"])["optimizer"].agg(set)
        mine = runs[runs["optimizer"].isin(set.intersection(*tasks))]
        if mine["optimizer_kind" if by == "kind" else "optimizer"].nunique() < 2:
            continue
        table = compare_across(mine, rule, by=by, **options)
        chance = mine.groupby("dataset")["chance"].first().mean() if "chance" in mine else np.nan
        table.insert(0, "chance", chance)
        table.insert(0, "datasets", ", ".join(map(str, mine["dataset"].unique())))
        table.insert(0, "shift", str(shift))
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
