"""The interval, the p-value and the verdict of a value with a bootstrap error."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtr

from .intervals import Array, Estimate

LEVEL = 0.05

MARGIN = 0.01
"""Accuracies that differ by less than one point are called no different."""


ENDS = ("difference", "low", "high", "low90", "high90")
"""Columns of a table for an estimated difference."""


def ends_of(estimate: Estimate) -> dict[str, float]:
    """An estimate as the columns ``ENDS``."""
    values = (estimate.value, estimate.low, estimate.high, estimate.low90, estimate.high90)
    return dict(zip(ENDS, values, strict=True))


def p_value(value: float, error: float, freedom: float) -> float:
    """Two-sided p-value of Student's t for ``value`` = 0; NaN without an error or freedom.

    An error of 0 leaves no doubt: p is 0, or 1 where the value is 0 as well.
    """
    if not (np.isfinite(value) and np.isfinite(error)) or freedom < 1:
        return np.nan
    if error == 0:
        return float(value == 0)
    return float(2 * stdtr(freedom, -abs(value) / error))


def holm(p: ArrayLike) -> Array:
    """Holm's (1979) adjusted p-values, in the order given; NaN tests are no part of the family."""
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    tests = np.flatnonzero(np.isfinite(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def verdict(difference: Estimate, p: float, margin: float = MARGIN) -> str:
    """``no difference``, ``higher``, ``lower`` or ``undecided``.

    *No difference* is claimed only by equivalence: two one-sided tests at 5% (the 90% interval lies
    within ``margin``), whatever the difference. *Higher* and *lower* need p below 0.05.

    Args:
        difference: Difference of two accuracies.
        p: P-value of the test that the difference is 0, corrected for the number of tests.
        margin: Differences below it are none; fractions.
    """
    if difference.within(margin):
        return "no difference"
    if p < LEVEL:
        return "higher" if difference.value > 0 else "lower"
    return "undecided"


def holm_within(table: pd.DataFrame, p: str, family: Sequence[str]) -> pd.DataFrame:
    """The table with Holm's p-values beside the column ``p``, for each family by itself."""
    adjusted = table.groupby(list(family), sort=False)[p].transform(holm)
    table = table.copy()
    table.insert(list(table.columns).index(p) + 1, f"{p}_holm", adjusted)
    return table


def judged(table: pd.DataFrame, family: Sequence[str], margin: float) -> pd.DataFrame:
    """The table, with the columns ``ENDS`` and ``p``, with Holm's p-values and verdicts.

    Where there is no difference to judge the verdict is ``not comparable``.
    """
    table = holm_within(table, "p", family)
    words = [
        verdict(Estimate(*(row[name] for name in ENDS)), row["p_holm"], margin)
        if np.isfinite(row["difference"])
        else "not comparable"
        for row in table.to_dict("records")
    ]
    table.insert(list(table.columns).index("p_holm") + 1, "verdict", words)
    return table
