"""Why runs diverged or failed, counted."""

import pandas as pd

from .columns import require
from .names import pretty


def reasons(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each kind of reason, the most frequent first; numbers do not tell kinds apart.

    Runs that diverged at different steps so fall together, and one of them is quoted.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.

    Returns:
        ``status`` (diverged or failed), ``n``, ``optimizers`` (words, with the runs of each),
        ``reason`` (of the first of them) and ``alike``: whether all say exactly that. Without lost
        runs it is empty.

    Raises:
        RequestError: No runs, or a column is missing.
    """
    require(pairs)
    once = pairs.drop_duplicates("run")  # which has a row for each of its targets
    ended = once[once["status"].isin(["diverged", "failed"])]
    said = ended.get("reason", pd.Series("", index=ended.index))
    said = said.fillna("").replace("", "no reason was stored")
    kinds = said.astype(str).str.replace(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", regex=True)
    rows = []
    for (status, _), runs in ended.groupby([ended["status"], kinds], sort=False):
        counts = runs["optimizer"].value_counts(sort=False)
        rows.append(
            {
                "status": status,
                "n": len(runs),
                "optimizers": ", ".join(f"{pretty(str(k))} {n:,}" for k, n in counts.items()),
                "reason": str(said[runs.index[0]]),
                "alike": said[runs.index].nunique() == 1,
            }
        )
    table = pd.DataFrame(rows, columns=["status", "n", "optimizers", "reason", "alike"])
    return table.sort_values("n", ascending=False, kind="stable", ignore_index=True)
