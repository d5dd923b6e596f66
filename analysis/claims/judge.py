"""Judging a claim by runs: its verdict, the numbers behind it, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions
from oodbench.results.select import RUN_RULES, drawn

from ..compare.by_shift_class import classes_of
from ..compare.tasks import compare_across
from ..conclusions.sentences import corrected, points
from ..runs.columns import require_columns, values_of
from ..runs.names import coverage, pretty
from .claim import FAILS, HOLDS, UNDECIDED, Claim
from .of_returns import judged_returns


@dataclass(frozen=True)
class Judged:
    """What runs say of a claim.

    Attributes:
        claim: The claim.
        verdict: ``holds``, ``does not hold``, ``holds, but not under ...`` or ``undecided``.
        reasons: For each algorithm, the difference and what it rests on.
        missing: What of the population is not here, and what would decide it.
        runs: How many runs of the population there are.
    """

    claim: Claim
    verdict: str
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    runs: int

    @property
    def word(self) -> str:
        """The verdict without its exceptions."""
        return self.verdict.partition(",")[0]


def judge_claim(
    claim: Claim, pairs: pd.DataFrame, predictions: Sequence[Predictions] = (), *, seed: int = 0
) -> Judged:
    """Judge a claim by the runs of its population.

    Its two sides are compared as ``analysis.compare_across`` does: on average over the test
    environments of each dataset, then over the datasets, for each algorithm by itself. It holds
    where it holds with every algorithm, and does not where it fails with one. Several databases are
    pooled by passing the runs of all of them: the same draw is the same draw in each. A claim about
    returns is judged by every return curve: see ``analysis.claims.of_returns``.

    Args:
        claim: The claim.
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        predictions: What the runs predicted: with them, intervals cover the test examples.
        seed: Seed of the bootstrap.

    Raises:
        RequestError: A column is missing.
    """
    if not claim.of_returns:
        require_columns(pairs, (claim.estimand.score, RUN_RULES[claim.estimand.rule]))
    mine = in_population(claim, pairs)
    missing = _absent(claim, mine)
    verdict, reasons = UNDECIDED, tuple[str, ...]()
    if len(mine):
        judging = judged_returns if claim.of_returns else _judged_difference
        try:
            verdict, reasons = judging(claim, mine, predictions, seed)
        except RequestError as error:  # nothing to compare: that is an answer
            missing.append(str(error))
    if verdict == UNDECIDED and claim.sweep:
        cost = f" ({claim.cost})" if claim.cost else ""
        missing.append(f"the sweep that would decide it: {claim.sweep}{cost}")
    return Judged(claim, verdict, reasons, tuple(missing), mine["run"].nunique())


def _judged_difference(
    claim: Claim, mine: pd.DataFrame, predictions: Sequence[Predictions], seed: int
) -> tuple[str, tuple[str, ...]]:
    """The verdict on a difference, and what it is with each algorithm."""
    table = _compared(claim, mine, predictions, seed)
    scored = table[table["score"] == claim.estimand.score]
    rows: list[dict[Any, Any]] = scored.to_dict("records")
    verdicts = [claim.verdict(row) for row in rows]
    words = [verdict.partition(",")[0] for verdict in verdicts]
    if FAILS in words:
        verdict = verdicts[words.index(FAILS)]
    elif rows and all(word == HOLDS for word in words):
        verdict = max(verdicts, key=len)  # with the exceptions of one, if any has some
    else:
        verdict = UNDECIDED
    return verdict, tuple(_reason(row, word) for row, word in zip(rows, verdicts, strict=True))


def in_population(claim: Claim, pairs: pd.DataFrame) -> pd.DataFrame:
    """The runs that a claim is about, but for its condition ``where``: the query has that."""
    mine, population = drawn(pairs), claim.population
    wanted = {
        "dataset": population.datasets,
        "algorithm": population.algorithms,
        "optimizer": population.optimizers if claim.by_kind else (claim.a, claim.b),
    }
    for column, names in wanted.items():
        if names:
            mine = mine[mine[column].isin(names)]
    if population.shift and len(mine):
        mine = mine[np.asarray(classes_of(mine) == population.shift)]
    return mine.reset_index(drop=True)


def _compared(
    claim: Claim, mine: pd.DataFrame, predictions: Sequence[Predictions], seed: int
) -> pd.DataFrame:
    """The rows of a against b, in this order."""
    by: Any = "kind" if claim.by_kind else "optimizer"
    estimand = claim.estimand
    table = compare_across(
        mine,
        estimand.rule,
        predictions,
        by=by,
        budget=estimand.budget,
        margin=claim.margin,
        seed=seed,
    )
    if len(table) and str(table["a"].iloc[0]) != claim.a:
        return table.apply(_turned, axis=1)
    return table


def _turned(row: "pd.Series[Any]") -> "pd.Series[Any]":
    """The comparison seen from the other side."""
    row = row.copy()
    row["a"], row["b"] = row["b"], row["a"]
    row["difference"] = -row["difference"]
    row["low"], row["high"] = -row["high"], -row["low"]
    row["verdict"] = {"lower": "higher", "higher": "lower"}.get(row["verdict"], row["verdict"])
    return row


def _absent(claim: Claim, mine: pd.DataFrame) -> list[str]:
    """Datasets, algorithms and optimizers of the population without runs."""
    population, found = claim.population, []
    optimizers = population.optimizers if claim.by_kind else (claim.a, claim.b)
    for kind, names, column in (
        ("dataset", population.datasets, "dataset"),
        ("algorithm", population.algorithms, "algorithm"),
        ("optimizer", optimizers, "optimizer"),
    ):
        here = set(map(str, values_of(mine, column)))
        lacking = [name for name in names if name not in here]
        if lacking:
            found.append(f"no runs of the {kind}{'s'[: len(lacking) > 1]} {', '.join(lacking)}")
    if mine.empty and not found:
        found.append("no runs of this population")
    return found


def _reason(row: dict[Any, Any], verdict: str) -> str:
    """The difference of one algorithm, and what it rests on."""
    sides = f"{pretty(str(row['a']))} less {pretty(str(row['b']))}"
    covers = f"interval {coverage(bool(row['examples']), int(row['splits']))}"
    trials = f"{row['trials_a']:,} and {row['trials_b']:,} trials"
    where = f"{row['datasets']} dataset{'s'[: row['datasets'] > 1]}, {row['tasks']} in all"
    where = where.replace("in all", "choices of test environments")
    amount = f"best of {row['budget']:,.6g} {str(row['unit']).replace('_', ' ')}"
    return (
        f"{pretty(str(row['algorithm']))}: {verdict}; {sides} in "
        f"{str(row['score']).upper()} accuracy {points(row)}{corrected(row)}, {amount}, over "
        f"{where}; {trials}; {covers}"
    )
