"""Optimizers, and adaptive ones against the others, compared at an equal tuning budget."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..runs.searches import Trials
from .comparison import Comparison, Settings
from .contests import Contest, against, both_kinds, every_pair
from .differences import contested
from .estimation import Estimation
from .verdicts import with_verdicts


def compare_optimizers(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Every optimizer against every other, in ID and in OOD accuracy, at an equal tuning budget.

    ``difference``: of the expected accuracies of the runs that ``rule`` selects among n draws from
    each one's search space, on average over the data splits. ``improvement``: the probability that
    a's selected run scores higher than b's, a tie counting half. Diverged and failed trials are
    spent; a search of lost trials alone has no model and scores 0
    (``analysis.runs.searches.NO_MODEL``).

    Intervals and p-values are Student's t with the error of one bootstrap for all panels: draws of
    the search (those of one training seed together, for all optimizers and tasks) times examples,
    where ``predictions`` are given, plus the variance between data splits, where there are several.

    Args:
        pairs: See ``analysis.runs.searches.searches``.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        predictions: What the runs predicted (``oodbench.predictions``): with them, intervals cover
            the examples that the runs were scored on.
        settings: The settings of ``analysis.compare.comparison.Comparison``: ``budget`` and its
            ``unit``, ``margin``, ``dataset``, ``algorithm``, ``resamples``, ``seed``.

    Returns:
        A row per dataset, test environments, algorithm, pair (``a``, ``b``) and ``score`` (id or
        ood): ``rule``, ``unit``, ``budget``, ``splits`` (data seeds), ``examples`` (whether the
        intervals cover them), ``n_a`` and ``n_b`` (trials of a search), ``trials``, ``completed``,
        ``diverged``, ``failed`` and ``no_model`` (the probability of none) of each, ``value_a``,
        ``value_b``, ``difference`` = a - b with the ends ``low``, ``high`` (95%), ``low90``,
        ``high90``, ``p``, ``p_holm`` (over all rows of one score), ``verdict``
        (``testing.verdict``, or *depends on the budget*), ``improvement`` with its ends,
        ``at_budgets`` and ``under_cuts`` (of each: its name, the difference and its tested sign)
        and ``not_under``: the cuts of the search spaces under which the verdict is lost.
        Intervals and p are missing for fewer than five draws, or four searches' trials.

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or no such budget.
        UnknownNameError: No such rule, setting, unit, dataset or algorithm.
    """
    return pairs_table(Estimation.of(pairs, Comparison.of(rule, predictions, settings)))


def compare_kinds(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Adaptive against non-adaptive optimizers, in ID and in OOD accuracy.

    The accuracy of a kind is the mean over its optimizers, each tuned by itself with the whole
    budget: what to expect of one that is picked blindly. ``improvement`` is the mean over all pairs
    of one optimizer of each kind. ``difference`` and its verdict are about *these* optimizers;
    ``population_low``, ``population_high`` and ``population_p`` are about optimizers of these
    kinds, of which these are a sample.

    Returns:
        As ``compare_optimizers``, with ``a`` = adaptive and ``b`` = non-adaptive; ``n_a``, ``n_b``:
        the fewest trials of a search; the other counts are sums. Panels without both kinds have no
        rows. See there for arguments and errors.
    """
    return kinds_table(Estimation.of(pairs, Comparison.of(rule, predictions, settings)))


def compare_to(
    pairs: pd.DataFrame,
    baseline: str | None = None,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Every optimizer against one, or against the mean of all others, in ID and OOD accuracy.

    Args:
        baseline: An optimizer. Default: each one is compared with the mean of the others.

    Returns:
        As ``compare_optimizers``, with ``b`` the baseline or ``the others``. Panels without the
        baseline have no rows. See there for the other arguments and errors.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    if baseline is not None:
        known = {name for one in estimation.searches for name in one.optimizers}
        check_name("optimizer", baseline, known)
    return others_table(estimation, baseline)


def others_table(estimation: Estimation, baseline: str | None = None) -> pd.DataFrame:
    """``compare_to`` of what is estimated already."""
    nobody = (
        "An optimizer is compared with others that have finished runs on the same dataset with the "
        "same algorithm; there are none. Train another optimizer."
    )
    return _compared(estimation, lambda trials: against(trials, baseline), nobody)


def pairs_table(estimation: Estimation) -> pd.DataFrame:
    """``compare_optimizers`` of what is estimated already."""
    nobody = (
        "Two optimizers are compared that have finished runs on one dataset with one algorithm; no "
        "two have. Train another optimizer."
    )
    return _compared(estimation, every_pair, nobody)


def kinds_table(estimation: Estimation) -> pd.DataFrame:
    """``compare_kinds`` of what is estimated already."""
    nobody = (
        "Adaptive and non-adaptive optimizers can be compared where both have finished runs on one "
        "dataset with one algorithm, and the column optimizer_kind says which is which; that is "
        "nowhere so. Train optimizers of both kinds."
    )
    return _compared(estimation, both_kinds, nobody)


def _compared(
    estimation: Estimation, contests_of: Callable[[Sequence[Trials]], list[Contest]], nobody: str
) -> pd.DataFrame:
    """The contests of every panel, judged; ``nobody`` says what is missing if there are none."""
    rows: list[dict[str, Any]] = []
    for one in estimation.searches:
        contests = contests_of(one.trials)
        if not contests:
            continue
        tasks = estimation.tasks([one], one.optimizers)
        paid = tasks.budgets[0].trials
        for contest, score, numbers in contested(tasks, contests):
            row = {**one.key, "a": contest.a, "b": contest.b, "score": score, **tasks.known}
            for side, members in (("_a", contest.members_a), ("_b", contest.members_b)):
                row[f"n{side}"] = min(paid[name] for name in members)
                row |= tasks.counts(members, side)
            rows.append(row | numbers)
    if not rows:
        raise RequestError(nobody)
    return with_verdicts(pd.DataFrame(rows), ["score"], estimation.comparison.margin)
