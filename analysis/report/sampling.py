"""Which runs the page lists and draws: no more than a browser opens fast."""

import pandas as pd

from ..conclusions.optimizer_table import optimizer_table
from ..runs.columns import BY, require

MOST = 22_000
"""Runs on a page, which then takes 12 MB at most; the study of 20,736 digits models is whole."""


def shown_runs(pairs: pd.DataFrame, rule: str = "id_val", most: int = MOST) -> frozenset[str]:
    """The ids of the runs that a page shows: all, or a random part of each search.

    The same runs are shown whenever the table is the same. Those that ``rule`` selects are among
    them, and at least one of each optimizer on each panel.

    Args:
        pairs: See ``analysis.report_html``.
        rule: See ``analysis.report_html``.
        most: Runs, but for those that are there in any case.

    Raises:
        RequestError, QueryError, UnknownNameError: As there.
    """
    require(pairs)
    once = pairs.drop_duplicates("run")
    if len(once) <= most:
        return frozenset(once["run"])
    order = pd.util.hash_array(once["run"].to_numpy(dtype=object)).argsort(kind="stable")
    shuffled = once.iloc[order]
    groups = shuffled.groupby(list(BY), sort=False, dropna=False)
    share = groups["run"].transform("size") * (most / len(once))
    random = shuffled.loc[groups.cumcount() < share.clip(lower=1), "run"]
    return frozenset(random) | frozenset(optimizer_table(pairs, rule)["run"].dropna())
