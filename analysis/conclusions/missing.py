"""What a table of models does not say, and what it would answer if it did."""

from collections.abc import Iterator

import pandas as pd

from oodbench.results import UNKNOWN
from oodbench.results.select import RUN_RULES

from ..runs.columns import values_of


def more_columns(pairs: pd.DataFrame, rule: str) -> Iterator[str]:
    """A sentence for each column that is nowhere known and would answer more.

    Args:
        pairs: A row a run.
        rule: How runs are selected, one of ``oodbench.results.select.RUN_RULES``.
    """
    score = RUN_RULES[rule]
    if not _known(pairs, score):
        yield f"{score} would allow comparisons of selected runs at an equal budget, and advice."
    optimizers = pairs["optimizer"].unique()
    if len(optimizers) < 2:
        yield "optimizer would allow comparisons, if it had two values on one dataset."
    elif not _known(pairs, "optimizer_kind"):
        yield "optimizer_kind would allow statements on adaptive optimizers."
    if not _known(pairs, "shift"):
        yield "shift (correlation or diversity) would allow averages over datasets of one class."
    if not _known(pairs, "chance"):
        yield "chance would keep models that guess out of the curves."
    if not _known(pairs, "n_id") or not _known(pairs, "n_ood"):
        yield "n_id and n_ood would separate luck on the test examples from differences."


def _known(pairs: pd.DataFrame, column: str) -> bool:
    return bool((~values_of(pairs, column).astype(str).isin(["", UNKNOWN])).any())
