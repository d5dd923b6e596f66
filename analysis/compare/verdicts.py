"""The verdict on each difference of a table, and under which cuts of the spaces it is lost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..stats.testing import holm_within, judged

DEPENDS = "depends on the budget"
"""The verdict on a difference that another budget decides the other way."""


def with_verdicts(table: pd.DataFrame, family: Sequence[str], margin: float) -> pd.DataFrame:
    """The table with Holm's p-values and verdicts; see ``analysis.stats.testing.judged``.

    A difference that is decided one way here and the other way at another budget *depends on the
    budget*. ``not_under`` names the cuts of the search spaces under which the verdict is lost: a
    difference that is no longer tested to have its sign, or an equality that is no longer one.
    """
    table = judged(table, family, margin)
    decided = table["verdict"].map({"higher": 1, "lower": -1}).fillna(0)
    table["not_under"] = [
        ", ".join(cut for cut, value, found in cuts if _lost(verdict, sign, value, found, margin))
        for verdict, sign, cuts in zip(table["verdict"], decided, table["under_cuts"], strict=True)
    ]
    turned = [
        sign != 0 and any(found == -sign for _, _, found in at)
        for sign, at in zip(decided, table["at_budgets"], strict=True)
    ]
    table.loc[turned, "verdict"] = DEPENDS
    held = table["population_p"].notna()
    table["population_p_holm"] = np.nan
    if held.any():
        table = holm_within(table.drop(columns="population_p_holm"), "population_p", family)
    return table


def _lost(verdict: str, sign: float, value: float, found: int, margin: float) -> bool:
    if verdict == "no difference":
        return np.isnan(value) or (found != 0 and abs(value) > margin)
    return sign != 0 and found != sign
