"""Whether one optimizer is the best of all: it is compared with each of the others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..stats.testing import LEVEL


def wins_of_best(rows: pd.DataFrame, ranked: Sequence[str], comparisons: int) -> pd.DataFrame:
    """The comparisons of the highest optimizer with each other one, if it wins them all.

    Each of k optimizers has k - 1 others to beat. Tested two-sided at 5% / (k - 1), one that is not
    the best beats the best with a probability of at most 2.5% / (k - 1), so that any of them is
    called the best with at most k / (k - 1) times 2.5%: never more than 5%, whatever is true
    (Bonferroni; for confidence sets of the best, Hsu 1984, "Constrained Simultaneous Confidence
    Intervals for Multiple Comparisons with the Best"). All k (k - 1) / 2 pairs need not be tested,
    as they are for ``verdict``. A win that another budget turns is none.

    Args:
        rows: ``compare_by_class`` of every pair of optimizers, of one class, algorithm and score.
        ranked: Optimizers that are tested, the highest first.
        comparisons: What 5% is divided by: k - 1, summed over all questions that are looked at.

    Returns:
        The rows, with ``not_under`` of each; none where it does not win them all.
    """
    best, others = ranked[0], set(ranked[1:])
    mine = rows[(rows["a"] == best) & rows["b"].isin(others)]
    mine = pd.concat([mine, rows[(rows["b"] == best) & rows["a"].isin(others)]])
    signs = np.where(mine["a"] == best, 1, -1)
    turned = [
        any(found == -sign for _, _, found in at)
        for sign, at in zip(signs, mine["at_budgets"], strict=True)
    ]
    won = (signs * mine["difference"] > 0) & (comparisons * mine["p"] < LEVEL) & ~np.array(turned)
    if len(mine) < len(others) or not won.all():
        return mine.iloc[:0]
    lost_under = [
        ", ".join(cut for cut, _, found in cuts if found != sign)
        for sign, cuts in zip(signs, mine["under_cuts"], strict=True)
    ]
    return mine.assign(not_under=lost_under)
