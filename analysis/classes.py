"""Optimizers compared by class of shift: correlation shift apart from diversity shift."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.across import compare_across

UNKNOWN = ""
"""The class of a dataset that declares none, or whose measurement is not clear."""


def classes_of(pairs: pd.DataFrame) -> "pd.Series[str]":
    """The class of shift of each run's dataset; ``UNKNOWN`` where it is not known."""
    if "shift" not in pairs.columns:
        return pd.Series(UNKNOWN, index=pairs.index)
    return pairs["shift"].fillna(UNKNOWN).astype(str)


def compare_by_class(pairs: pd.DataFrame, rule: str = "id_val", **options: Any) -> pd.DataFrame:
    """``compare_across`` over the datasets of each class of shift, one class after the other.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` is the class.
        rule, options: As for ``analysis.compare_across``: ``by="kind"`` compares adaptive with
            non-adaptive optimizers.

    Returns:
        Its rows, and before them ``shift`` (the class; empty where unknown), ``datasets`` (their
        names) and ``chance`` (mean chance accuracy over the datasets, where known).

    Raises:
        RequestError: As there, for any class.
        UnknownNameError: As there.
    """
    tables = []
    for shift, mine in pairs.groupby(classes_of(pairs), sort=False):
        table = compare_across(mine, rule, **options)
        chance = mine.groupby("dataset")["chance"].first().mean() if "chance" in mine else np.nan
        table.insert(0, "chance", chance)
        table.insert(0, "datasets", ", ".join(map(str, mine["dataset"].unique())))
        table.insert(0, "shift", shift)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
