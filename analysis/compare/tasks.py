"""Optimizers across datasets, each of which counts once, whatever its environments are."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Unpack

import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..runs.searches import Searches, Trials
from .comparison import Comparison, Settings
from .contests import Contest, both_kinds, every_pair
from .differences import contested
from .estimation import Estimation
from .population import agreeing
from .verdicts import with_verdicts

By = Literal["optimizer", "kind"]
CONTESTS: dict[str, Callable[[Sequence[Trials]], list[Contest]]] = {
    "optimizer": every_pair,
    "kind": both_kinds,
}


def compare_across(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    *,
    by: By = "optimizer",
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Every pair of optimizers, or the two kinds, on average over datasets.

    ``difference`` and ``improvement`` are those of
    ``analysis.compare.optimizers.compare_optimizers``, averaged over the test environments of each
    dataset and then over the datasets. The interval of ``difference`` is about these datasets;
    ``population_low``, ``population_high`` and ``population_p`` are about datasets of which these
    are a sample (random effects), where there are several.

    Args:
        pairs, rule, predictions: As there.
        by: ``optimizer``, or ``kind``: adaptive against non-adaptive, see ``compare_kinds``.
        settings: As there; the budget is the same on all.

    Returns:
        A row per algorithm, pair (``a``, ``b``) and score: as there, and ``datasets``,
        ``tasks`` (with their test environments) and ``agree`` (datasets whose difference has the
        sign of the mean). Tasks that lack an optimizer of the algorithm are left out.

    Raises:
        RequestError: As there, or no task has all optimizers.
        UnknownNameError: As there.
    """
    check_name("comparison", by, tuple(CONTESTS))
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    rows = [
        {"algorithm": algorithm, **row}
        for algorithm, shared in shared_panels(estimation)
        for row in rows_over(estimation, shared, shared[0].optimizers, by)
    ]
    if not rows:
        raise RequestError(
            f"No two {by}s have finished runs on one dataset with one algorithm, so there is "
            "nothing to compare. Train more, or check the filter."
        )
    return with_verdicts(pd.DataFrame(rows), ["score"], estimation.comparison.margin)


def rows_over(
    estimation: Estimation, found: Sequence[Searches], members: Sequence[str], by: By
) -> Iterator[dict[str, Any]]:
    """The rows of one comparison of these optimizers over several panels of one algorithm."""
    contests = CONTESTS[by]([found[0].of(name) for name in members])
    if not contests:
        return
    tasks = estimation.tasks(found, members)
    for contest, score, numbers in contested(tasks, contests):
        yield {
            **{"a": contest.a, "b": contest.b, "score": score, **tasks.known},
            **{"datasets": len(tasks.datasets), "tasks": len(found)},
            "agree": agreeing(tasks, contest, score),
            **tasks.counts(contest.members_a, "_a"),
            **tasks.counts(contest.members_b, "_b"),
            **numbers,
        }


def shared_panels(estimation: Estimation) -> Iterator[tuple[str, list[Searches]]]:
    """The panels of each algorithm that have all optimizers which it has anywhere.

    Raises:
        RequestError: An algorithm has no such panel.
    """
    found = estimation.searches
    for algorithm in dict.fromkeys(one.panel.algorithm for one in found):
        mine = [one for one in found if one.panel.algorithm == algorithm]
        every = {name for one in mine for name in one.optimizers}
        shared = [one for one in mine if every.issubset(one.optimizers)]
        if not shared:
            raise RequestError(
                f"No dataset has finished runs of every optimizer with {algorithm!r} "
                f"({', '.join(sorted(every))}), so they cannot be averaged over datasets. Leave "
                "out the optimizers that are not everywhere, or train them."
            )
        yield algorithm, shared
