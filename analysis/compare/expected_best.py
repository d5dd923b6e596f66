"""What a tuning budget buys: the expected score of the selected one of n trials, for every n."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError

from ..runs.searches import Searches, Trials, searches
from ..runs.trials import SCORES
from ..stats.best_of import RESAMPLES, expected, freedom
from ..stats.intervals import Array, from_error, spread, within_range


def expected_best(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    budgets: Iterable[int] | None = None,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Expected ID and OOD accuracy of the run that ``rule`` selects of n trials, by optimizer.

    The estimator is ``stats.best_of``. Every finished trial of a random, Sobol or grid design
    counts; runs of adaptive searches are left out. A diverged or failed trial is spent: it is never
    selected while another was drawn, and has the score ``analysis.runs.searches.Searches.floor``.

    Intervals (95%, Student's t from the bootstrap over configurations; ``freedom``) are over
    searches: which hyperparameters and training seeds were drawn. They are missing where n exceeds
    a quarter of the trials, which tell too little about searches of that size.

    Args:
        pairs: As for ``analysis.runs.searches.searches``.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        budgets: Values of n; those above an optimizer's number of trials are left out for it.
            Default: every n up to 16, then steps of an eighth, and the number of trials itself.
        dataset, algorithm: Only this one.
        resamples, seed: Of the bootstrap.

    Returns:
        A row per dataset, test environments, algorithm, optimizer and n: ``rule``, ``n``,
        ``gradient_evaluations`` (n times the mean of a trial, missing where unknown), ``id``,
        ``id_low``, ``id_high``, ``ood``, ``ood_low``, ``ood_high`` (fractions), ``trials`` (N) and
        of these ``completed``, ``diverged``, ``failed``.

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or a budget below 1.
        UnknownNameError: No such rule, dataset or algorithm.
    """
    found = searches(pairs, rule, dataset, algorithm)
    tables = (budget_table(one, budgets, resamples, seed) for one in found)
    return pd.concat(tables, ignore_index=True)


def budget_table(
    one: Searches, budgets: Iterable[int] | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """The rows of one panel; see ``expected_best``."""
    asked = None if budgets is None else _checked(budgets)
    at = {mine.optimizer: _budgets(len(mine.rank), asked) for mine in one.trials}
    draws: dict[tuple[str, str], list[Array]] = defaultdict(list)
    for weights in one.resampled(resamples, np.random.default_rng(seed)):
        for mine, score in product(one.trials, SCORES):
            name = mine.optimizer
            found = expected(mine.rank, mine.scores[score], at[name], weights[name])
            draws[name, score].append(found)
    errors = {key: spread(chunks) for key, chunks in draws.items()}
    tables = (_rows(one, mine, at[mine.optimizer], errors) for mine in one.trials)
    return pd.concat(tables, ignore_index=True)


def _checked(budgets: Iterable[int]) -> NDArray[np.int64]:
    asked = np.unique(np.asarray(list(budgets), dtype=np.int64))
    if not asked.size or asked[0] < 1:
        raise RequestError(
            f"A budget is a number of trials, at least 1, but these were asked for: "
            f"{asked.tolist()}. Ask for some, such as budgets=[1, 10, 100]."
        )
    return asked


def _budgets(trials: int, asked: NDArray[np.int64] | None) -> NDArray[np.int64]:
    if asked is not None:
        return asked[asked <= trials]
    steps = list(range(1, 17))
    while steps[-1] < trials:
        steps.append(steps[-1] * 9 // 8)
    return np.unique(np.minimum(steps, trials))


def _rows(
    one: Searches,
    mine: Trials,
    budgets: NDArray[np.int64],
    errors: Mapping[tuple[str, str], Array],
) -> pd.DataFrame:
    """The rows of one optimizer; ``errors``: by optimizer and score, at each n."""
    columns: dict[str, Any] = {"n": budgets, "gradient_evaluations": budgets * mine.cost}
    ones = np.ones(len(mine.rank))
    degrees = [freedom(mine.configurations, n) for n in budgets]
    for score in SCORES:
        points = expected(mine.rank, mine.scores[score], budgets, ones)
        found = [
            within_range(from_error(*each), 0, 1)
            for each in zip(points, errors[mine.optimizer, score], degrees, strict=True)
        ]
        columns[score] = points
        columns[f"{score}_low"] = [each.low for each in found]
        columns[f"{score}_high"] = [each.high for each in found]
    known = {**one.key, "optimizer": mine.optimizer, "rule": one.rule}
    return pd.DataFrame({**known, **columns, "trials": len(mine.rank), **mine.counts})
