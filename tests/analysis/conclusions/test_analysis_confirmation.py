"""Means over fresh seeds, and their intervals."""

import math

import pandas as pd
import pytest

import analysis
from oodbench.errors import RequestError


def runs_of(samplers: list[str], scores: list[float | None]) -> pd.DataFrame:
    status = ["diverged" if score is None else "completed" for score in scores]
    n = len(scores)
    values = [math.nan if score is None else score for score in scores]
    return pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(n)],
            "dataset": "D",
            "test_environments": "0",
            "algorithm": "erm",
            "optimizer": "sgd",
            "config_id": "c",
            "sampler": samplers,
            "status": status,
            "id": values,
            "ood": [value / 2 for value in values],
            "id_val": values,
            "n_id": 100,
            "n_ood": 100,
        }
    )


def test_a_mean_over_three_seeds_by_hand() -> None:
    # mean .6, standard deviation .1; t(.975, 2 degrees of freedom) = 4.302653
    frame = runs_of(["random"] + ["confirm"] * 4, [0.9, 0.5, 0.6, 0.7, None])
    (row,) = analysis.confirmation_table(frame).to_dict("records")
    assert (row["completed"], row["diverged"], row["failed"]) == (3, 1, 0)
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert row["id"] == pytest.approx(0.6)
    assert (row["id_low"], row["id_high"]) == pytest.approx((0.6 - half, 0.6 + half))
    assert row["ood_high"] == pytest.approx(0.3 + half / 2)


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    table = analysis.confirmation_table(runs_of(["confirm"] * 2, [0.5, None]))
    assert table["id"].tolist() == [0.5]
    assert table[["id_low", "ood_high"]].isna().all(axis=None)
    table = analysis.confirmation_table(runs_of(["confirm"], [None]))
    assert table["id"].isna().all()
    assert table["diverged"].tolist() == [1]


def test_nothing_was_confirmed() -> None:
    assert analysis.confirmation_table(runs_of(["random"], [0.5])).empty
    with pytest.raises(RequestError, match="config_id"):
        analysis.confirmation_table(runs_of(["random"], [0.5]).drop(columns="config_id"))


def test_repeats_are_in_no_figure_and_no_table_of_the_search() -> None:
    frame = runs_of(["random", "tpe", "confirm", "confirm"], [0.5, 0.6, 0.9, None])
    (row,) = analysis.optimizer_table(frame).to_dict("records")
    assert (row["run"], row["completed"], row["diverged"]) == ("r1", 2, 0)
    text = analysis.summary_markdown(frame, title="t")
    assert "2 of them repeat a winner on fresh seeds" in text
    assert "| SGD | 1 | 1 | 0 | 0.900 | 0.450 | `c` |" in text
    from analysis.runs.panels import panels

    (panel,) = panels(frame)
    assert panel.runs["run"].tolist() == ["r0", "r1"]
    assert "pooled over sampler: tpe, random" in panel.remarks
