"""The health of each optimizer's search: what its trials came to, and whether its ranges end short.

A range ends short where the best scores still rise towards its end: a better value may lie beyond.
That the best trial lies near an end says little, for one in ten does so by chance.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from oodbench.errors import check_name
from oodbench.results.select import RUN_RULES

from ..runs.columns import BY, GROUP, in_first_appearance, require, values_of
from ..runs.names import group_name, pretty
from ..runs.trials import SCORES, trials_of
from ..stats.testing import LEVEL, holm
from .ranges import positions

POINT = 0.01

OUTER = 1 / 3
"""The part of a range, at either end, in which scores may rise towards that end."""

BEST = 1 / 3
"""The share of the trials that are an optimizer's best."""

FEWEST = 5
"""An end is looked at if so many of the best trials lie in its outer part."""

COLUMNS = (
    *BY,
    *("trials", "lost", "at_chance", "best", "near_best", "effective", "ranges", "edges", "words"),
)


def search_health(pairs: pd.DataFrame, rule: str = "id_val") -> pd.DataFrame:
    """What became of each optimizer's trials, and whether a better value may lie beyond a range.

    The best scores *rise* towards an end of a range if, among the trials in its outer third there,
    the nearer to the end, the higher is a trial's rank among the optimizer's best third (0 for
    others). The test is Pearson's correlation, one-sided, Holm-corrected over the ends of all
    ranges of the panel that have a few of the best trials there. Only the order inside the outer
    third matters, so that a plateau that reaches an end, or a peak well before it, is no rise.

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
        were searched), ``edges`` (the ends towards which the best scores rise, as ``high end of lr
        (0.09)``, the most extreme value that was tried; may be empty) and ``words`` (all of it).

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such rule.
    """
    check_name("selection rule", rule, RUN_RULES)
    require(pairs, (*SCORES, RUN_RULES[rule]))
    trials = trials_of(pairs, rule).reset_index(drop=True)
    rows = []
    for panel, those in trials.groupby(list(GROUP), sort=False):
        rising = _rising(those, RUN_RULES[rule])
        for optimizer, runs in those.groupby("optimizer", sort=False):
            row = {**dict(zip(BY, (*panel, optimizer), strict=True)), **rising[str(optimizer)]}
            row |= _outcomes(runs, RUN_RULES[rule])
            rows.append({**row, "words": _words(row)})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return in_first_appearance(table, pairs) if rows else table


def health_lines(health: pd.DataFrame) -> list[str]:
    """The table in words, each panel under its heading; for plain text."""
    lines: list[str] = []
    for key, rows in health.groupby(list(GROUP), sort=False):
        lines.append(group_name(*map(str, key)))
        named = zip(rows["optimizer"], rows["words"], strict=True)
        lines += [f"  {pretty(str(name))}: {words}" for name, words in named]
    return lines


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


def _rising(panel: pd.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    """Of each optimizer of a panel: ``ranges`` and ``edges``, as in the table."""
    places = positions(panel)
    found: dict[str, dict[str, Any]] = {}
    ends = []
    for optimizer, runs in panel.groupby("optimizer", sort=False):
        searched = places.loc[runs.index].dropna(axis=1, how="all")
        ends += [(str(optimizer), *end) for end in _ends(runs, searched, column)]
        found[str(optimizer)] = {"ranges": searched.shape[1], "edges": ""}
    for (optimizer, end, _), p in zip(ends, holm([p for _, _, p in ends]), strict=True):
        if p < LEVEL:
            known = found[optimizer]["edges"]
            found[optimizer]["edges"] = f"{known}, {end}" if known else end
    return found


def _ends(runs: pd.DataFrame, places: pd.DataFrame, column: str) -> Iterator[tuple[str, float]]:
    """The ends of an optimizer's ranges that can be looked at, with p of a rise towards each."""
    if places.shape[1] == 0:
        return
    completed = runs["status"] == "completed"
    score = runs[column].astype(float).where(completed, -np.inf)
    above = np.maximum(stats.rankdata(score) - (1 - BEST) * len(runs), 0) * completed
    # Runs that repeat a configuration are no further evidence.
    above_of = above.groupby([places[name] for name in places], dropna=False).mean()
    above = above_of.to_numpy()
    for name in places:
        place = above_of.index.get_level_values(name).to_numpy()
        for end, near in (("low", 1 - place), ("high", place)):
            outer = near > 1 - OUTER
            if (above[outer] > 0).sum() < FEWEST or not np.ptp(near[outer]) * np.ptp(above[outer]):
                continue
            extreme = runs[name].min() if end == "low" else runs[name].max()
            p = stats.pearsonr(near[outer], above[outer], alternative="greater").pvalue
            yield f"{end} end of {name} ({extreme:.3g})", float(p)


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
