"""Ranks of optimizers on a testbed, as far as pairs decide them."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from ..compare.contests import Contest
from ..compare.differences import Differences
from ..compare.estimates import Tasks
from ..runs.trials import SCORES

OOD = SCORES.index("ood")


def duels(tasks: Tasks, members: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each pair: ``a``, ``b``, ``value`` (the difference in OOD accuracy) and its ``p``."""
    for i, a in enumerate(members):
        for b in members[i + 1 :]:
            found = Differences(tasks, Contest(a, b, (a,), (b,))).of(OOD)
            yield {"a": a, "b": b, "value": found.value, "p": found.p()}


def rank_ranges(cells: pd.DataFrame, pairs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The cells with the ranks that pairs leave: ``rank_low`` to ``rank_high``, of ``of``.

    Args:
        cells: A row per testbed and optimizer.
        pairs: A row per testbed and pair; ``sign`` is 1 where a is better, -1 where it is worse.
        by: Columns that identify a testbed.
    """
    turned = pairs.rename(columns={"a": "b", "b": "a"}).assign(sign=-pairs["sign"])
    each = pd.concat([pairs, turned])
    keys = [*by, "a"]
    counts = each.assign(won=each["sign"] > 0, lost=each["sign"] < 0).groupby(keys)
    tally = counts[["won", "lost"]].sum().reset_index().rename(columns={"a": "optimizer"})
    found = cells.merge(tally, how="left", on=[*by, "optimizer"]).fillna({"won": 0, "lost": 0})
    of = found.groupby(list(by), sort=False)["optimizer"].transform("size")
    ranks = {"rank_low": 1 + found["lost"], "rank_high": of - found["won"], "of": of}
    whole = {name: column.astype(int) for name, column in ranks.items()}
    return found.drop(columns=["won", "lost"]).assign(**whole)
