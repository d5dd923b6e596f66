"""One row an optimizer: what became of its runs, and how its selected run scored."""

from statistics import NormalDist

import numpy as np
import pandas as pd

from oodbench.errors import check_name
from oodbench.results.select import RUN_RULES, drawn, select

from ..runs.columns import (
    BY,
    STATUS_COLUMNS,
    count_statuses,
    in_first_appearance,
    require,
    values_of,
)


def wilson_interval(
    accuracy: pd.Series, n: pd.Series, confidence: float = 0.95
) -> tuple[pd.Series, pd.Series]:
    """Wilson's score interval for an accuracy measured on ``n`` independent examples.

    Args:
        accuracy: Fractions in [0, 1]. A mean over environments is treated as if its examples
            were one pool, which is exact when the environments are of equal size.
        n: Examples behind each accuracy; where it or the accuracy is missing, so is the interval.
        confidence: Nominal coverage.

    Returns:
        The lower and the upper ends, within [0, 1].
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = accuracy.to_numpy(dtype=float)
    size = n.to_numpy(dtype=float)
    size = np.where(size > 0, size, np.nan)
    centre = (p + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return pd.Series(low, index=accuracy.index), pd.Series(high, index=accuracy.index)


def optimizer_table(pairs: pd.DataFrame, rule: str = "id_val") -> pd.DataFrame:
    """What became of each optimizer's runs, and the scores of the one that the rule selects.

    Runs that repeat a winner on other seeds are left out: see ``confirmation_table``.

    The 95% intervals (Wilson's) are over the test examples of that one model only. They say
    nothing about other training seeds, nor about what another search would have found.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id, ood, n_id, n_ood and what the
            rule reads.
        rule: How a run is selected, such as ``id_val``; see ``oodbench.results.select``.

    Returns:
        A row per dataset, test environments, algorithm and optimizer, each in order of first
        appearance: ``completed``, ``diverged``, ``failed`` (and ``pending``, if any run still
        waits or runs), ``checkpoint`` (if ``pairs`` names its rule), ``rule``, ``run``, ``id``,
        ``id_low``, ``id_high``, ``n_id``, ``ood``, ``ood_low``, ``ood_high``, ``n_ood`` and
        ``gap`` = ID - OOD. Accuracies are fractions, and missing where no run completed, or none
        can be selected.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such rule.
    """
    require(pairs, ("id", "ood", "n_id", "n_ood"))
    pairs = drawn(pairs)
    selected = _selected(pairs, rule)
    rules = [name for name in ("checkpoint", "rule") if name in selected.columns]
    scores = selected[[*BY, *rules, "run", "id", "n_id", "ood", "n_ood"]]
    counts = count_statuses(pairs, BY).reset_index()
    table = in_first_appearance(counts.merge(scores, on=list(BY), how="left"), pairs)
    for score in ("id", "ood"):
        ends = wilson_interval(table[score], table[f"n_{score}"])
        table[f"{score}_low"], table[f"{score}_high"] = ends
    table["gap"] = table["id"] - table["ood"]
    statuses = [name for name in STATUS_COLUMNS if name != "pending" or table["pending"].any()]
    shown = [f"{name}{part}" for name in ("id", "ood") for part in ("", "_low", "_high")]
    shown = [*shown[:3], "n_id", *shown[3:], "n_ood", "gap"]
    return table[[*BY, *statuses, *rules, "run", *shown]]


def _selected(pairs: pd.DataFrame, rule: str) -> pd.DataFrame:
    """The selected runs; none where no completed run has the score that the rule reads."""
    check_name("selection rule", rule, RUN_RULES)
    completed = pairs[pairs["status"] == "completed"]
    if len(completed) and values_of(completed, RUN_RULES[rule]).empty:
        return pairs.iloc[:0].assign(rule=rule)
    return select(pairs, rule=rule, by=BY)
