"""Optimizers, and adaptive ones against the others, compared at an equal tuning budget."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack

import pandas as pd

from oodbench.errors import RequestError, check_name

from ..runs.columns import GROUP
from ..runs.searches import Searches
from .comparison import Comparison, Settings
from .contests import Contest, against, both_kinds, every_pair
from .estimates import Tasks, contested, judged_twice


def compare_optimizers(
    pairs: pd.DataFrame, rule: str = "id_val", **settings: Unpack[Settings]
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
        settings: Those of ``analysis.compare.comparison.Comparison``: ``budget`` and its ``unit``,
            ``margin``, ``dataset``, ``algorithm``, ``resamples``, ``seed``.

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
        UnknownNameError: No such rule, setting, unit, dataset or algorithm.
    """
    comparison = Comparison.of(rule, settings)
    nobody = (
        "Two optimizers are compared that have finished runs on one dataset with one algorithm; no "
        "two have. Train another optimizer."
    )
    return _compared(comparison.searches(pairs), comparison, every_pair, nobody)


def compare_kinds(
    pairs: pd.DataFrame, rule: str = "id_val", **settings: Unpack[Settings]
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
    comparison = Comparison.of(rule, settings)
    nobody = (
        "Adaptive and non-adaptive optimizers can be compared where both have finished runs on one "
        "dataset with one algorithm, and the column optimizer_kind says which is which; that is "
        "nowhere so. Train optimizers of both kinds."
    )
    return _compared(comparison.searches(pairs), comparison, both_kinds, nobody)


def compare_to(
    pairs: pd.DataFrame,
    baseline: str | None = None,
    rule: str = "id_val",
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Every optimizer against one, or against the mean of all others, in ID and OOD accuracy.

    Args:
        baseline: An optimizer. Default: each one is compared with the mean of the others.

    Returns:
        As ``compare_optimizers``, with ``b`` the baseline or ``the others``. Panels without the
        baseline have no rows. See there for the other arguments and errors.
    """
    comparison = Comparison.of(rule, settings)
    found = comparison.searches(pairs)
    if baseline is not None:
        check_name("optimizer", baseline, {name for one in found for name in one.optimizers})
    nobody = (
        "An optimizer is compared with others that have finished runs on the same dataset with the "
        "same algorithm; there are none. Train another optimizer."
    )
    return _compared(found, comparison, lambda one: against(one, baseline), nobody)


def _compared(
    found: Sequence[Searches],
    comparison: Comparison,
    contests_of: Callable[[Searches], Sequence[Contest]],
    nobody: str,
) -> pd.DataFrame:
    """The contests of every panel, judged; ``nobody`` says what is missing if there are none."""
    panels = [(one, contests) for one in found if (contests := contests_of(one))]
    if not panels:
        raise RequestError(nobody)
    rows = [row for one, contests in panels for row in _rows(one, contests, comparison)]
    return judged_twice(pd.DataFrame(rows), [*GROUP, "score"], comparison.margin)


def _rows(
    one: Searches, contests: Sequence[Contest], comparison: Comparison
) -> Iterator[dict[str, Any]]:
    tasks = Tasks.of([one], comparison, block=comparison.resamples)
    for contest, score, numbers in contested(tasks, contests):
        yield {
            **{**one.key, "a": contest.a, "b": contest.b, "score": score, **tasks.known},
            **{"n_a": min(tasks.paid[0][name] for name in contest.members_a)},
            **tasks.counts(contest.members_a, "_a"),
            **{"n_b": min(tasks.paid[0][name] for name in contest.members_b)},
            **tasks.counts(contest.members_b, "_b"),
            **numbers,
        }
