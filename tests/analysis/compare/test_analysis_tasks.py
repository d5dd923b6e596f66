"""Averages over tasks, against the single tasks and against scipy."""

import numpy as np
import pytest
from scipy.stats import trim_mean
from simulated_searches import search, together

import analysis
from oodbench.errors import RequestError, UnknownNameError


def two_tasks(n=40):
    rng = np.random.default_rng(0)
    return together(
        *(
            search(name, rng.random(n), level + 0.1 * rng.random(n), dataset=dataset)
            for dataset, level in (("D", 0.2), ("E", 0.7))
            for name in ("sgd", "adam")
        )
    )


def test_differences_and_effects_are_means_over_tasks():
    frame = two_tasks()
    each = analysis.compare_optimizers(frame, budget=4)
    both = analysis.compare_across(frame, budget=4)
    for score in ("id", "ood"):
        mean = each[each["score"] == score]
        (row,) = both[both["score"] == score].to_dict("records")
        for name in ("value_a", "difference", "improvement", "cliffs_delta"):
            assert row[name] == pytest.approx(mean[name].mean())
        assert (row["tasks"], row["trials_a"], row["completed_b"]) == (2, 80, 80)
        # Tasks are resampled apart: the error of a mean of two is that of one, over sqrt(2).
        widths = mean["high"] - mean["low"]
        expected = np.sqrt((widths**2).sum()) / 2
        assert row["high"] - row["low"] == pytest.approx(expected, rel=0.15)
    kinds = analysis.compare_across(frame, by="kind", budget=4)
    assert kinds["difference"].tolist() == pytest.approx((-both["difference"]).tolist())


def test_single_trials_have_the_trimmed_mean_of_all_tasks_runs():
    frame = two_tasks()
    table = analysis.interquartile_means(frame, budget=1).set_index(["score", "optimizer"])
    for name in ("sgd", "adam"):
        runs = frame[frame["optimizer"] == name]
        for score in ("id", "ood"):
            row = table.loc[(score, name)]
            assert row["iqm"] == pytest.approx(trim_mean(runs[score], 0.25))
            assert row["low"] < row["iqm"] < row["high"]
    assert table["tasks"].tolist() == [2] * 4
    assert table["trials"].tolist() == [80] * 4


def test_intervals_cover_the_interquartile_mean_over_tasks():
    rng = np.random.default_rng(0)
    # The middle half of two tasks with uniform scores on [0, 1] and on [1, 2] is [.5, 1.5].
    covered = 0
    for seed in range(50):
        scores = [rng.random(30), 1 + rng.random(30)]
        tasks = (search("sgd", s / 2, s / 2, dataset=f"D{i}") for i, s in enumerate(scores))
        frame = together(*tasks)
        table = analysis.interquartile_means(frame, budget=1, resamples=100, seed=seed)
        covered += table["low"].iloc[1] <= 0.5 <= table["high"].iloc[1]
    assert covered >= 43  # of 50; of 47.5 expected, fewer by chance in 1 of 300


def test_tasks_that_lack_an_optimizer_are_left_out():
    frame = two_tasks()
    lacking = frame[(frame["dataset"] == "D") | (frame["optimizer"] == "sgd")]
    assert analysis.compare_across(lacking)["tasks"].tolist() == [1, 1]
    neither = frame[(frame["dataset"] == "D") == (frame["optimizer"] == "sgd")]
    with pytest.raises(RequestError, match=r"every optimizer with 'erm' \(adam, sgd\)"):
        analysis.compare_across(neither)
    with pytest.raises(RequestError, match="No two kinds"):
        analysis.compare_across(frame[frame["optimizer"] == "sgd"], by="kind")
    with pytest.raises(UnknownNameError, match="Allowed: kind, optimizer"):
        analysis.compare_across(frame, by="dataset")  # type: ignore[arg-type]
