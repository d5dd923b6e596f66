"""Whether one optimizer is the best of all: it is compared with each of the others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..stats.testing import LEVEL


def wins_of_best(rows: pd.DataFrame, ranked: Sequence[str], questions: int) -> pd.DataFrame:
    """The comparisons of the highest optimizer with each other one, if it wins them all.

    Each is tested two-sided at 5%, without a correction for how many there are. To name an
    optimizer that is not the only best, all of its tests must err at once; the probability of that
    is the highest, 5%, where two are equal and the others are far below (Gutmann and Maymin 1987,
    "Is the Selected Population the Best?", for independent normal means; the tests of this module
    simulate unequal variances and correlations). A win that another budget turns is none.

    Args:
        rows: ``compare_by_class`` of every pair of optimizers, of one class, algorithm and score.
        ranked: Optimizers that are tested, the highest first.
        questions: Classes and algorithms that are looked at: 5% is divided among them (Bonferroni).

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
    won = (signs * mine["difference"] > 0) & (questions * mine["p"] < LEVEL) & ~np.array(turned)
    if len(mine) < len(others) or not won.all():
        return mine.iloc[:0]
    lost_under = [
        ", ".join(cut for cut, _, found in cuts if found != sign)
        for sign, cuts in zip(signs, mine["under_cuts"], strict=True)
    ]
    return mine.assign(not_under=lost_under)
