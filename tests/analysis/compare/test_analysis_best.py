"""Whether one optimizer is the best of all: by hand, and how often equal ones are called so."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.compare.best import wins_of_best

NAMES = ("a", "b", "c")


def pairs(**changes: object) -> pd.DataFrame:
    """a is above b and c by 3 points, each with p = .02; b and c are equal."""
    rows = [
        {"a": "a", "b": "b", "difference": 0.03, "p": 0.02},
        {"a": "c", "b": "a", "difference": -0.03, "p": 0.02},
        {"a": "b", "b": "c", "difference": 0.0, "p": 1.0},
    ]
    table = pd.DataFrame(rows)
    table["at_budgets"] = [((8, row["difference"], 0), (4, 0.0, 0)) for row in rows]
    table["under_cuts"] = [
        (("half of lr", 0.02, 1), ("edges", 0.0, 0)),
        (("half of lr", -0.02, -1), ("edges", -0.02, -1)),
        (),
    ]
    for name, value in changes.items():
        table.at[0, name] = value
    return table


def test_it_beats_each_of_the_others() -> None:
    """Holm's correction over the three pairs gives .06: no pair by itself is decided."""
    found = wins_of_best(pairs(), NAMES, 1)
    assert found[["a", "b"]].to_numpy().tolist() == [["a", "b"], ["c", "a"]]
    assert found["not_under"].tolist() == ["edges", ""]
    assert wins_of_best(pairs(), NAMES, 3).empty  # of three questions: .06
    assert wins_of_best(pairs(p=0.051), NAMES, 1).empty


def test_what_is_no_win_of_all() -> None:
    assert wins_of_best(pairs(), ("b", "a", "c"), 1).empty
    assert wins_of_best(pairs().iloc[1:], NAMES, 1).empty  # a and b were not compared
    assert wins_of_best(pairs(at_budgets=((8, 0.03, 0), (4, -0.03, -1))), NAMES, 1).empty
    assert wins_of_best(pairs(at_budgets=((8, 0.03, 0), (4, -0.03, 0))), NAMES, 1).shape[0] == 2


FAR = np.array([0.0, 0.0, -9.0, -9.0])
LAW = {
    "two equal": (np.zeros(2), np.eye(2)),
    "four equal": (np.zeros(4), np.eye(4)),
    "two equal, two far below": (FAR, np.eye(4)),
    "unequal variances": (np.zeros(4), np.diag([1.0, 4.0, 16.0, 64.0])),
    "two equal, correlated": (FAR, 0.8 + 0.2 * np.eye(4)),
}


@pytest.mark.parametrize("law", LAW)
def test_equal_optimizers_are_called_the_best_in_at_most_five_percent(law: str) -> None:
    mean, covariance = LAW[law]
    values = np.random.default_rng(0).multivariate_normal(mean, covariance, 10_000)
    called = sum(_called_best(each, covariance) for each in values)
    assert called / len(values) <= 0.05 + 3 * 0.0022  # three standard errors
    assert called > 0


def _called_best(values: np.ndarray, covariance: np.ndarray) -> bool:
    """Whether the highest value (n,) is called the best, for errors of a known law."""
    top, second, *_ = np.argsort(-values)
    variances = np.diag(covariance)
    errors = np.sqrt(variances[top] + variances - 2 * covariance[top])
    if values[top] - values[second] < 1.9 * errors[second]:
        return False  # it does not win against the second, and the table takes time
    others = [i for i in range(len(values)) if i != top]
    rows = [
        {
            "a": str(top),
            "b": str(i),
            "difference": values[top] - values[i],
            "p": 2 * norm.sf((values[top] - values[i]) / errors[i]),
            "at_budgets": (),
            "under_cuts": (),
        }
        for i in others
    ]
    return len(wins_of_best(pd.DataFrame(rows), [str(top), *map(str, others)], 1)) > 0
