"""The accuracy to expect of each optimizer, by class of shift: what an answer is drawn from."""

from collections.abc import Sequence
from typing import Any, Unpack

import pandas as pd

from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn, select

from ..runs.columns import BY, GROUP
from ..runs.trials import SCORES
from ..stats.intervals import Estimate, within_range
from .by_shift_class import by_class, shifts_of
from .comparison import Comparison, Settings
from .estimates import Tasks, mean_over, weights_of
from .estimation import Estimation
from .uncertain import Uncertain, variances


def expected_by_class(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """What to expect of each optimizer at an equal tuning budget, by class of shift.

    A dataset's environments are averaged first, then the datasets of a class. A dataset whose shift
    is not known stands alone. Optimizers without trials on some dataset of a class are left out.

    Args:
        pairs, rule, predictions, settings: See ``analysis.compare_optimizers``.

    Returns:
        A row per class of shift, algorithm and optimizer: ``shift`` (empty where unknown),
        ``names`` (of the datasets), ``chance`` (their mean, where known), ``algorithm``,
        ``optimizer``, ``rule``, ``unit``, ``budget``, ``n`` (trials that it pays for), ``splits``,
        ``examples`` (whether intervals cover them), ``datasets``, ``tasks``, ``id``, ``id_low``,
        ``id_high``, ``ood``, ``ood_low``, ``ood_high`` (the expected accuracy of the run that the
        rule selects, fractions, 95% t intervals), and of the run that it selects among all of the
        optimizer's runs ``selected_id``, ``selected_ood`` and ``runs`` (their number, on the task
        with the fewest).

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or no such budget.
        UnknownNameError: No such rule, setting, unit, dataset or algorithm.
    """
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    return levels_table(estimation, pairs)


def levels_table(estimation: Estimation, pairs: pd.DataFrame) -> pd.DataFrame:
    """``expected_by_class`` of what is estimated already of these runs."""
    every = drawn(pairs)
    chosen = select(every, rule=estimation.comparison.rule, by=BY).set_index(list(BY))
    sizes = every.groupby(list(BY)).size()
    rows = []
    for head, found, members in by_class(estimation, shifts_of(pairs)):
        tasks = estimation.tasks(found, members)
        for name in members:
            keys = [(*(one.key[part] for part in GROUP), name) for one in found]
            rows.append(
                {
                    **{**head, "optimizer": name, **tasks.known},
                    "n": tasks.budgets[0].trials[name],
                    **{"datasets": len(tasks.datasets), "tasks": len(found)},
                    **expected_scores(tasks, name),
                    **_selected(tasks, chosen, keys),
                    "runs": int(sizes.reindex(keys).min()),
                }
            )
    return pd.DataFrame(rows)


def expected_scores(tasks: Tasks, name: str) -> dict[str, float]:
    """The expected accuracies of one optimizer, with their intervals."""
    sampled = mean_over(tasks.bought, [name])[:, 0]
    columns: dict[str, float] = {}
    for j, score in enumerate(SCORES):
        splits = [
            float(weights_of(tasks.bought) @ [one.of_split[s][name][0, j] for one in tasks.bought])
            for s in sorted(set.intersection(*(set(one.of_split) for one in tasks.bought)))
            if all(name in one.of_split[s] for one in tasks.bought)
        ]
        parts = variances(sampled[:, j], tasks.bought[0].ways, tasks.freedom([name]), splits)
        found: Estimate = Uncertain(float(sampled[0, j]), parts).estimate()
        columns |= within_range(found, 0, 1).columns(score)
    return columns


def _selected(tasks: Tasks, chosen: pd.DataFrame, keys: list[Any]) -> dict[str, float]:
    """The mean accuracies of the runs that are selected on each task among all; NaN for none."""
    weights = weights_of(tasks.bought)
    return {
        f"selected_{score}": float(weights @ chosen[score].reindex(keys).to_numpy(dtype=float))
        for score in SCORES
    }
