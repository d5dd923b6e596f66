"""Expected accuracies by class of shift: those of each dataset, averaged as they should be."""

import numpy as np
import pandas as pd
import pytest
from report_helpers import make_runs

from analysis import compare_by_class, expected_best, expected_by_class, optimizer_table

ENDS = ("id", "id_low", "id_high", "ood", "ood_low", "ood_high")


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return make_runs(40)


def test_of_one_dataset_it_is_what_the_budget_buys_there(runs: pd.DataFrame) -> None:
    table = expected_by_class(runs)
    assert set(table["budget"]) == {8}
    bought = expected_best(runs, budgets=[8])
    bought = bought.set_index(["dataset", "algorithm", "optimizer"])
    for row in table.to_dict("records"):
        expected = bought.loc[(row["names"], row["algorithm"], row["optimizer"])]
        np.testing.assert_allclose([row[name] for name in ENDS], expected[list(ENDS)].astype(float))
        assert row["n"] == 8
        assert row["runs"] == 40
    assert len(table) == 9
    chances = table.groupby("shift")["chance"].unique().map(list).to_dict()
    assert chances == {"correlation": [0.5], "diversity": [0.1]}


def test_selected_runs_are_those_of_the_table_of_runs(runs: pd.DataFrame) -> None:
    known = optimizer_table(runs).set_index(["dataset", "algorithm", "optimizer"])
    for row in expected_by_class(runs).to_dict("records"):
        mine = known.loc[(row["names"], row["algorithm"], row["optimizer"])]
        assert row["selected_ood"] == mine["ood"]
        assert row["selected_id"] == mine["id"]


def test_datasets_count_equally_and_so_do_environments(runs: pd.DataFrame) -> None:
    """Two environments of Rotated and one of Third: a quarter each, and a half."""
    first = runs[runs["dataset"] == "Rotated"]
    second = first.assign(test_environments="2", ood=first["ood"] / 2, run="b" + first["run"])
    third = first.assign(dataset="Third", ood=first["ood"] / 4, run="c" + first["run"])
    of_first = expected_by_class(first)
    table = expected_by_class(pd.concat([first, second, third]))
    share = 0.25 + 0.25 / 2 + 0.5 / 4
    np.testing.assert_allclose(table["ood"], share * of_first["ood"])
    np.testing.assert_allclose(table["selected_ood"], share * of_first["selected_ood"])
    # The draws are the same ones, so that the errors add up, too.
    width = table["ood_high"] - table["ood_low"]
    np.testing.assert_allclose(width, share * (of_first["ood_high"] - of_first["ood_low"]))
    assert table["names"].unique() == ["Rotated, Third"]
    assert set(table["datasets"]) == {2}
    assert set(table["tasks"]) == {3}


def test_values_are_those_that_are_compared(runs: pd.DataFrame) -> None:
    table = expected_by_class(runs).set_index(["shift", "algorithm", "optimizer"])
    compared = compare_by_class(runs)
    for row in compared[compared["score"] == "ood"].to_dict("records"):
        for side in ("a", "b"):
            value = table.loc[(row["shift"], row["algorithm"], row[side]), "ood"]
            assert value == pytest.approx(row[f"value_{side}"])


def test_one_optimizer_is_enough(runs: pd.DataFrame) -> None:
    table = expected_by_class(runs[runs["optimizer"] == "sgd"])
    assert list(table["optimizer"].unique()) == ["sgd"]
