"""Mean ranks and their tests, on tables whose ranks and critical difference are known."""

import numpy as np
import pandas as pd
import pytest
from report_helpers import make_runs

from analysis import expected_best, rankings
from analysis.compare.rankings import mean_ranks, rank_tests
from oodbench.errors import RequestError

Q = 2.569
"""The 5% point of the Studentized range of four means over the root of 2 (Demsar 2006, table 5)."""


def cases(first: int, tasks: int) -> np.ndarray:
    """Four optimizers; the last beats the third on ``first`` of the tasks and is behind it else."""
    rows = [[0.9, 0.8, 0.6, 0.7] if i < first else [0.9, 0.8, 0.7, 0.6] for i in range(tasks)]
    return np.array(rows)


def test_ranks_by_hand() -> None:
    values = np.array([[0.9, 0.8, 0.8], [0.5, 0.7, 0.6], [0.3, 0.3, 0.3]])
    np.testing.assert_allclose(mean_ranks(values), [(1 + 3 + 2) / 3, (2.5 + 1 + 2) / 3, 6.5 / 3])


def test_pairs_are_apart_beyond_the_critical_difference() -> None:
    tasks = 14
    critical = Q * np.sqrt(4 * 5 / (6 * tasks))
    values = cases(4, tasks)
    ranks = mean_ranks(values)
    friedman, nemenyi = rank_tests(values)
    apart = np.abs(ranks[:, None] - ranks)
    assert critical == pytest.approx(1.25, abs=0.005)
    assert (apart > critical).any()
    assert (apart[~np.eye(4, dtype=bool)] < critical).any()
    np.testing.assert_array_equal(nemenyi < 0.05, apart > critical)
    # Friedman's statistic by its formula, and its chi-squared p-value with 3 degrees of freedom.
    statistic = 12 * tasks / (4 * 5) * ((ranks**2).sum() - 4 * 5**2 / 4)
    assert friedman < 0.001
    assert statistic > 16.27  # the 0.1% point


def of_tasks(runs: pd.DataFrame) -> pd.DataFrame:
    """Four tasks of one algorithm, on each of which SGD is a tenth above Adam."""
    shift = {"sgd": 0.1, "momentum": 0.05, "adam": 0.0}
    first = runs[runs["dataset"] == "Rotated"].reset_index(drop=True)
    base = np.tile(first["ood"][first["optimizer"] == "sgd"].to_numpy(), 3)
    ood = pd.Series(base) + first["optimizer"].map(shift)
    first = first.assign(ood=ood.where(first["status"] == "completed"))
    return pd.concat(
        [first.assign(test_environments=str(i), run=first["run"] + str(i)) for i in range(4)],
        ignore_index=True,
    )


def test_the_best_on_every_task_ranks_first() -> None:
    runs = of_tasks(make_runs(40))
    runs = runs[runs["status"] == "completed"]
    (found,) = rankings(runs)
    values = expected_best(runs, budgets=[8]).groupby("optimizer")["ood"].mean()
    order = values.sort_values(ascending=False).index
    assert [found.optimizers[i] for i in np.argsort(found.ranks)] == list(order)
    assert (found.tasks, found.datasets, found.amount) == (4, 1, 8)
    assert found.ranks.sum() == pytest.approx(6)
    assert (found.low <= found.ranks).all()
    assert (found.ranks <= found.high).all()
    assert set(found.ranks) == {1.0, 2.0, 3.0}  # the four tasks are alike


def test_few_tasks_or_optimizers_are_refused() -> None:
    runs = make_runs(20)
    with pytest.raises(RequestError, match="3 optimizers on 3 tasks"):
        rankings(runs)
