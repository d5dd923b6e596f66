"""Optimizers, and adaptive ones against the others, compared at an equal tuning budget."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, UnknownNameError

from ..runs.panels import GROUP
from ..runs.searches import Searches, searches
from ..runs.trials import FINISHED, SCORES
from ..stats.best_of import RESAMPLES
from ..stats.intervals import Array, from_error, spread, within_range
from ..stats.testing import MARGIN, ends_of, holm_within, judged, p_value
from .contests import (
    STATISTICS,
    Contest,
    Unit,
    against,
    both_kinds,
    every_pair,
    freedoms,
    statistics,
    trials_for,
)

RANGES = {"difference": (-1, 1), "improvement": (0, 1), "cliffs_delta": (-1, 1)}


def compare_optimizers(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    margin: float = MARGIN,
    dataset: str | None = None,
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Every optimizer against every other, in ID and in OOD accuracy, at an equal tuning budget.

    ``difference``: of the expected accuracies of the runs that ``rule`` selects of each one's
    trials. ``improvement``: the probability that a's selected run scores higher than b's, a tie
    counting half. ``cliffs_delta``: P(a > b) - P(a < b) of single trials, without selection.
    Diverged and failed trials are spent, and score what ``analysis.runs.searches`` says.

    Intervals and p-values are Student's t (``best_of.freedom``), from a bootstrap that
    draws the trials of one index together for all optimizers, since they share their training
    seed. They are over searches on these test examples. With independent draws the test of
    ``cliffs_delta`` is that of Brunner and Munzel (2000), up to how the error is estimated.

    Args:
        pairs: As for ``analysis.runs.searches.searches``.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        budget: Of each optimizer, in ``unit``. Default: an eighth of what the one with the least
            has trained; differences at larger budgets rest on too few independent searches.
        unit: ``trials``, or ``gradient_evaluations``: the number of trials of an optimizer is then
            what the budget pays for, at the mean of its trials.
        margin: Accuracies closer than this are called no different; fractions.
        dataset: Only this one.
        algorithm: Only this one.
        resamples: Of the bootstrap.
        seed: Decides the resamples.

    Returns:
        A row per dataset, test environments, algorithm, pair (``a``, ``b``) and ``score`` (id or
        ood): ``rule``, ``unit``, ``budget``, ``n_a`` and ``n_b`` (trials of a search), ``trials``,
        ``completed``, ``diverged``, ``failed`` of each, ``value_a``, ``value_b``, ``difference`` =
        a - b with the ends ``low``, ``high`` (95%), ``low90``, ``high90``, ``p``, ``p_holm`` (over
        the pairs of one score), ``verdict`` (``testing.verdict``); ``improvement`` and
        ``cliffs_delta`` with ``_low`` and ``_high``, and of the latter ``_p`` and ``_p_holm``.
        Intervals and p are missing for fewer than five configurations, or four searches' trials.

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or no such budget.
        UnknownNameError: No such rule, unit, dataset or algorithm.
    """
    found = searches(pairs, rule, dataset, algorithm)
    contests = [every_pair([mine.optimizer for mine in one.trials]) for one in found]
    if not any(contests):
        raise RequestError(
            "Two optimizers are compared that have finished runs on one dataset with one "
            "algorithm; no two have. Train another optimizer."
        )
    return _compared(found, contests, budget, unit, margin, resamples, seed)


def compare_kinds(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    margin: float = MARGIN,
    dataset: str | None = None,
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Adaptive against non-adaptive optimizers, in ID and in OOD accuracy.

    The accuracy of a kind is the mean over its optimizers, each tuned by itself with the whole
    budget: what to expect of one that is picked blindly. ``improvement`` and ``cliffs_delta`` are
    means over all pairs of one optimizer of each kind. The intervals are over searches with these
    optimizers; they say nothing of other optimizers of the kind. There is one comparison for each
    panel and score, so ``p_holm`` is ``p``.

    Returns:
        As ``compare_optimizers``, with ``a`` = adaptive and ``b`` = non-adaptive; ``n_a``, ``n_b``:
        the fewest trials of a search; the other counts are sums. Panels without both kinds have no
        rows. See there for arguments and errors.
    """
    found = searches(pairs, rule, dataset, algorithm)
    contests = [both_kinds(one) for one in found]
    if not any(contests):
        raise RequestError(
            "Adaptive and non-adaptive optimizers can be compared where both have finished runs "
            "on one dataset with one algorithm, and the column optimizer_kind says which is which; "
            "that is nowhere so. Train optimizers of both kinds."
        )
    return _compared(found, contests, budget, unit, margin, resamples, seed)


def compare_to(
    pairs: pd.DataFrame,
    baseline: str | None = None,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    margin: float = MARGIN,
    dataset: str | None = None,
    algorithm: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Every optimizer against one, or against the mean of all others, in ID and OOD accuracy.

    Args:
        baseline: An optimizer. Default: each one is compared with the mean of the others.

    Returns:
        As ``compare_optimizers``, with ``b`` the baseline or ``the others``. Panels without the
        baseline have no rows. See there for the other arguments and errors.
    """
    found = searches(pairs, rule, dataset, algorithm)
    names = [[mine.optimizer for mine in one.trials] for one in found]
    every = list(dict.fromkeys(name for own in names for name in own))
    if baseline is not None and baseline not in every:
        raise UnknownNameError("optimizer", baseline, every)
    contests = [against(own, baseline) for own in names]
    if not any(contests):
        raise RequestError(
            "An optimizer is compared with others that have finished runs on the same dataset with "
            "the same algorithm; there are none. Train another optimizer."
        )
    return _compared(found, contests, budget, unit, margin, resamples, seed)


def _compared(
    found: Sequence[Searches],
    contests: Sequence[Sequence[Contest]],
    budget: float | None,
    unit: Unit,
    margin: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    tables = [
        _table(one, mine, *trials_for(one, budget, unit), resamples, seed).assign(unit=unit)
        for one, mine in zip(found, contests, strict=True)
        if mine
    ]
    table = judged_twice(pd.concat(tables, ignore_index=True), [*GROUP, "score"], margin)
    table.insert(list(table.columns).index("budget"), "unit", table.pop("unit"))
    return table


def _table(
    one: Searches,
    contests: Sequence[Contest],
    budget: float,
    n: Mapping[str, int],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    points = statistics(one, contests, n, one.at_hand())[0]
    drawn = one.resampled(resamples, np.random.default_rng(seed))
    errors = spread([statistics(one, contests, n, weights) for weights in drawn])
    rows = []
    for (i, contest), (j, score) in product(enumerate(contests), enumerate(SCORES)):
        rows.append(
            {
                **one.key,
                **{"a": contest.a, "b": contest.b, "score": score, "rule": one.rule},
                **{"budget": budget, **_sides(one, contest, n)},
                **numbers(points[i, j], errors[i, j], freedoms(one, contest, n)),
            }
        )
    return pd.DataFrame(rows)


def _sides(one: Searches, contest: Contest, n: Mapping[str, int]) -> dict[str, int]:
    """Numbers of trials behind both sides."""
    columns = {}
    for side, members in (("a", contest.members_a), ("b", contest.members_b)):
        mine = [trials for trials in one.trials if trials.optimizer in members]
        columns[f"n_{side}"] = min(n[name] for name in members)
        columns[f"trials_{side}"] = sum(len(trials.rank) for trials in mine)
        for status in FINISHED:
            columns[f"{status}_{side}"] = sum(trials.counts[status] for trials in mine)
    return columns


def numbers(points: Array, errors: Array, degrees: Mapping[str, float]) -> dict[str, Any]:
    """The statistics of one row, with the ends of their intervals and p-values."""
    value = dict(zip(STATISTICS, points, strict=True))
    error = dict(zip(STATISTICS, errors, strict=True))
    row: dict[str, Any] = {"value_a": value["value_a"], "value_b": value["value_b"]}
    for name, ends in RANGES.items():
        freedom = degrees[name]
        found = within_range(from_error(value[name], error[name], freedom), *ends)
        prefix = "" if name == "difference" else f"{name}_"
        if name == "difference":
            row |= ends_of(found)
        else:
            row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        if name != "improvement":
            row[f"{prefix}p"] = p_value(value[name], error[name], freedom)
    return row


def judged_twice(table: pd.DataFrame, family: Sequence[str], margin: float) -> pd.DataFrame:
    """The table with the verdicts, and Holm's p-values for the differences and Cliff's deltas."""
    return holm_within(judged(table, family, margin), "cliffs_delta_p", family)
