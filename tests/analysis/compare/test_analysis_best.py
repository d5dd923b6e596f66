"""Whether one optimizer is the best of all: against each of the others, by hand."""

import pandas as pd

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


def test_it_beats_each_of_the_others_at_five_percent_over_their_number() -> None:
    """Holm's correction over the three pairs gives .06: no pair by itself is decided."""
    found = wins_of_best(pairs(), NAMES, 2)
    assert found[["a", "b"]].to_numpy().tolist() == [["a", "b"], ["c", "a"]]
    assert found["not_under"].tolist() == ["edges", ""]
    assert wins_of_best(pairs(), NAMES, 3).empty  # of two questions: .06
    assert wins_of_best(pairs(p=0.026), NAMES, 2).empty


def test_what_is_no_win_of_all() -> None:
    assert wins_of_best(pairs(), ("b", "a", "c"), 2).empty
    assert wins_of_best(pairs().iloc[1:], NAMES, 2).empty  # a and b were not compared
    assert wins_of_best(pairs(at_budgets=((8, 0.03, 0), (4, -0.03, -1))), NAMES, 2).empty
    assert wins_of_best(pairs(at_budgets=((8, 0.03, 0), (4, -0.03, 0))), NAMES, 2).shape[0] == 2
