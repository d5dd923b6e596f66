"""What a tuning budget buys: the expected score of the selected one of n trials, for every n."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions

from ..runs.resampling import Resampling
from ..runs.searches import Searches, searches
from ..runs.trials import SCORES
from ..stats.best_of import RESAMPLES, freedom
from ..stats.intervals import Array, within_range
from .budgets import Budget
from .estimates import FEWEST
from .expected import Bought, bought
from .uncertain import Uncertain, variances


def expected_best(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    budgets: Iterable[int] | None = None,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Expected ID and OOD accuracy of the run that ``rule`` selects of n trials, by optimizer.

    The estimator is ``stats.best_of``. Every finished trial of a random, Sobol or grid design
    counts; runs of adaptive searches are left out. A diverged or failed trial is spent: it is never
    selected while another was drawn, and a search without a model scores 0.

    Intervals (95%, Student's t) cover the draws of the search, the examples where ``predictions``
    are given, and the data splits where there are several. They are missing where n exceeds a
    quarter of the trials, which tell too little about searches of that size.

    Args:
        pairs: See ``analysis.runs.searches.searches``.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        budgets: Values of n; those above an optimizer's number of trials are left out for it.
            Default: every n up to 16, then steps of a quarter, and the number of trials itself.
        dataset, algorithm: Only this one.
        predictions: What the runs predicted; see ``analysis.compare.comparison.Comparison``.
        resamples, seed: Resamples and seed of the bootstrap.

    Returns:
        A row per dataset, test environments, algorithm, optimizer and n: ``rule``, ``n``,
        ``gradient_evaluations`` and ``seconds`` (n times the mean of a trial, missing where
        unknown), ``id``, ``id_low``, ``id_high``, ``ood``, ``ood_low``, ``ood_high`` (fractions),
        ``no_model`` (the probability that all n are lost), ``splits``, ``examples`` (whether they
        are covered), ``trials`` (N, on one split) and ``completed``, ``diverged``, ``failed``.

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or a budget below 1.
        UnknownNameError: No such rule, dataset or algorithm.
    """
    found = searches(pairs, rule, dataset, algorithm)
    resampling = Resampling(pairs, predictions, resamples, seed)
    return budget_tables(found, resampling, budgets)


def budget_tables(
    found: Iterable[Searches], resampling: Resampling, budgets: Iterable[int] | None = None
) -> pd.DataFrame:
    """``expected_best`` of searches and their resampling."""
    return pd.concat([budget_table(one, resampling, budgets) for one in found], ignore_index=True)


def budget_table(
    one: Searches, resampling: Resampling, budgets: Iterable[int] | None = None
) -> pd.DataFrame:
    """The rows of one panel; see ``expected_best``."""
    trials = {mine.optimizer: len(mine.runs) // len(mine.splits) for mine in one.trials}
    steps = _steps(max(trials.values())) if budgets is None else _checked(budgets)
    most = sorted({*steps, *trials.values()}) if budgets is None else steps
    each = [Budget(n, {name: min(n, size) for name, size in trials.items()}) for n in most]
    found = bought(one, each, resampling, wins=False)
    rows = [
        _row(found, name, i, n)
        for name, size in trials.items()
        for i, n in enumerate(most)
        if n <= size and (budgets is not None or n in steps or n == size)
    ]
    return pd.DataFrame(rows)


def _checked(budgets: Iterable[int]) -> list[int]:
    asked = sorted(set(map(int, budgets)))
    if not asked or asked[0] < 1:
        raise RequestError(
            f"A budget is a number of trials, at least 1, but these were asked for: {asked}. Ask "
            "for some, such as budgets=[1, 10, 100]."
        )
    return asked


def _steps(trials: int) -> list[int]:
    steps = list(range(1, 17))
    while steps[-1] < trials:
        steps.append(steps[-1] * 5 // 4)
    return [n for n in steps if n <= trials]


def _row(found: Bought, name: str, i: int, n: int) -> dict[str, Any]:
    mine = found.searches.of(name)
    columns: dict[str, Any] = {"n": n, **{unit: n * cost for unit, cost in mine.costs.items()}}
    for j, score in enumerate(SCORES):
        sampled = found.values[name][:, i, j]
        parts = _parts(found, name, i, j, sampled, n)
        columns |= within_range(Uncertain(float(sampled[0]), parts).estimate(), 0, 1).columns(score)
    return {
        **{**found.searches.key, "optimizer": name, "rule": found.searches.rule, **columns},
        **{"no_model": found.no_model[name][i], "splits": len(mine.splits)},
        **{"examples": found.covers, "trials": len(mine.runs) // len(mine.splits), **mine.counts},
    }


def _parts(
    found: Bought, name: str, i: int, j: int, sampled: Array, n: int
) -> tuple[tuple[float, float], ...]:
    """The variances of one expected score; see ``Uncertain``."""
    draws = found.draws[name]
    df = freedom(draws, n) if draws >= FEWEST else 0.0
    splits = [values[name][i, j] for values in found.of_split.values() if name in values]
    return variances(sampled, found.ways, df, splits)
