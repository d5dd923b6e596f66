"""The health of each search: what its trials came to, and whether its ranges end short."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import check_name
from oodbench.results.select import RUN_RULES

from ..runs.columns import BY, GROUP, in_first_appearance, require, values_of
from ..runs.names import group_name, pretty
from ..runs.trials import SCORES, trials_of
from .edges import rising_edges
from .ranges import positions

POINT = 0.01

COLUMNS = (
    *BY,
    *("trials", "lost", "at_chance", "best", "near_best", "effective", "ranges", "edges", "words"),
)


def search_health(pairs: pd.DataFrame, rule: str = "id_val") -> pd.DataFrame:
    """What became of each optimizer's trials, and whether a better value may lie beyond a range.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        rule: How a run is selected, such as ``id_val``; its score is what *best* is about.

    Returns:
        A row per dataset, test environments, algorithm and optimizer that has trials (``trials_of``
        says which runs these are), in order of first appearance: ``trials``; of them the shares
        ``lost`` (diverged or failed), ``at_chance`` (ID accuracy within 1.96 standard errors of
        chance, or below it; missing where chance is not known) and ``near_best`` (within a point
        of the best score); ``best`` (that score); ``effective`` (how many trials are near the best:
        1 / sum of p**2, p proportional to exp(-points below the best), 1 where one is ahead of all,
        k where k are equally good and the others far off); ``ranges`` (how many hyperparameters
        were searched), ``edges`` (the ends towards which the best scores rise; see
        ``rising_edges``; may be empty) and ``words`` (all of it).

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such rule.
    """
    check_name("selection rule", rule, RUN_RULES)
    require(pairs, (*SCORES, RUN_RULES[rule]))
    trials = trials_of(pairs, rule).reset_index(drop=True)
    rows = []
    for panel, those in trials.groupby(list(GROUP), sort=False):
        places = positions(those)
        rising = rising_edges(those, RUN_RULES[rule], places)
        for optimizer, runs in those.groupby("optimizer", sort=False):
            row = dict(zip(BY, (*panel, optimizer), strict=True))
            row |= _outcomes(runs, RUN_RULES[rule])
            row["ranges"] = int(places.loc[runs.index].notna().any().sum())
            row["edges"] = rising.get(str(optimizer), "")
            rows.append({**row, "words": _words(row)})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return in_first_appearance(table, pairs) if rows else table


def edge_notes(health: pd.DataFrame) -> list[str]:
    """A sentence for each search whose best scores rise towards the end of a range."""
    rising = health.loc[health["edges"] != "", [*BY, "edges"]].astype(str)
    return [
        f"{group_name(*panel)}, {pretty(optimizer)}: {_rise(edges)}."
        for *panel, optimizer, edges in rising.itertuples(index=False)
    ]


def _outcomes(runs: pd.DataFrame, column: str) -> dict[str, float]:
    completed = runs[runs["status"] == "completed"]
    gaps = (completed[column].max() - completed[column]).to_numpy(dtype=float) / POINT
    weights = np.exp(-gaps)
    return {
        "trials": len(runs),
        "lost": 1 - len(completed) / len(runs),
        "at_chance": _at_chance(completed) / len(runs),
        "best": float(completed[column].max()),
        "near_best": (gaps < 1 + 1e-9).sum() / len(runs),
        "effective": weights.sum() ** 2 / (weights**2).sum() if len(weights) else 0.0,
    }


def _at_chance(completed: pd.DataFrame) -> float:
    """How many; NaN where chance is not known."""
    chance = values_of(completed, "chance")
    if len(completed) and chance.empty:
        return np.nan
    known = chance.reindex(completed.index).to_numpy(dtype=float)
    known_n = completed.get("n_id", pd.Series(np.nan, index=completed.index))
    n = known_n.to_numpy(dtype=float, na_value=np.nan)
    error = 1.96 * np.sqrt(known * (1 - known) / n)
    return float((completed["id"] <= known + np.nan_to_num(error)).sum())


def _rise(edges: str) -> str:
    return f"the best scores rise towards the {edges}: a better value may lie beyond"


def _words(row: Mapping[str, Any]) -> str:
    words = f"{row['trials']:,} trials, {row['lost']:.0%} lost"
    if not pd.isna(row["at_chance"]):
        words += f", {row['at_chance']:.0%} at chance"
    if not pd.isna(row["best"]):
        near = f"{row['near_best']:.0%} within a point (effectively {row['effective']:.1f})"
        words += f"; best {row['best']:.3f}, {near}"
    return f"{words}; {_rise(row['edges'])}" if row["edges"] else words
