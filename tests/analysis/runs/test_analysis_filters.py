from dataclasses import replace

import pandas as pd
import pytest

from analysis.runs.filters import keep_runs
from analysis.runs.panels import panels
from oodbench.errors import RequestError, UnknownNameError


@pytest.fixture
def panel(run):
    scores = {"sgd": [0.9, 0.5, 0.8, 0.8, 0.50001], "adam": [0.3, 0.7]}
    rows = [
        run(10 * len(name) - i, name, (0.6, 0.1 * i), id_val=value)
        for name, values in scores.items()
        for i, value in enumerate(values)
    ]
    (found,) = panels(pd.DataFrame([*rows, run(99, "sgd", None, id_val=0.99)]))
    return found


def kept(panel, optimizer):
    return panel.of(optimizer)["id_val"].tolist()


def test_above_is_strict_and_by_default_above_chance(panel):
    assert kept(keep_runs(panel, "above"), "sgd") == [0.9, 0.8, 0.8, 0.50001]
    assert kept(keep_runs(panel, "above"), "adam") == [0.7]
    high = keep_runs(panel, "above", threshold=0.8)
    assert (kept(high, "sgd"), kept(high, "adam")) == ([0.9], [])
    assert high.remarks[-1] == "kept: runs with ID validation accuracy above the threshold, 0.8"
    assert keep_runs(panel, "above").remarks[-1].endswith("above chance, 0.5")


def test_top_takes_the_best_of_each_optimizer_and_the_smallest_id_of_equal_ones(panel):
    best = keep_runs(panel, "top", top=2)
    assert kept(best, "sgd") == [0.9, 0.8]
    assert best.of("sgd")["run"].tolist() == [f"{n:016x}" for n in (30, 27)]  # 27 before 28
    assert kept(best, "adam") == [0.3, 0.7]
    assert "the 2 runs of each optimizer" in best.remarks[-1]
    assert len(keep_runs(panel, "top").runs) == 7


def test_what_is_kept_does_not_depend_on_test_scores(panel, pairs):
    for keep in ("above", "top"):
        names = [
            set(keep_runs(found, keep, top=2 if keep == "top" else None).runs["run"])
            for flip in (False, True)
            for found in panels(pairs.assign(ood=1 - pairs["ood"]) if flip else pairs)[:1]
        ]
        assert names[0] == names[1] != set()


def test_counts_stay_those_of_all_runs(panel):
    best = keep_runs(panel, "top", top=1)
    assert best.counts.loc["sgd"].tolist() == [5, 1, 0, 0]
    assert best.heading[1].startswith("2 of 8 runs")
    assert keep_runs(panel) is panel


def test_options_that_do_not_go_together_are_refused(panel, pairs):
    with pytest.raises(UnknownNameError, match="Did you mean 'above'"):
        keep_runs(panel, "abov")
    with pytest.raises(RequestError, match=r"threshold=0\.5 goes with keep='above' alone"):
        keep_runs(panel, "top", threshold=0.5)
    with pytest.raises(RequestError, match="top=3 goes with keep='top' alone"):
        keep_runs(panel, top=3)
    with pytest.raises(RequestError, match="between 0 and 1, but got 50"):
        keep_runs(panel, "above", threshold=50)
    with pytest.raises(RequestError, match="at least 1, but got 0"):
        keep_runs(panel, "top", top=0)
    (unknown, _) = panels(pairs.drop(columns="chance"))
    with pytest.raises(RequestError, match="chance accuracy of ColoredDigits is not known"):
        keep_runs(unknown, "above")
    (bare, _) = panels(pairs.drop(columns="id_val"))
    with pytest.raises(RequestError, match="needs the column id_val"):
        keep_runs(bare, "top")


def test_without_validation_scores_nothing_is_kept_silently(panel):
    bare = replace(panel, runs=panel.runs.assign(id_val=float("nan")))
    for keep in ("above", "top"):
        with pytest.raises(RequestError, match=f"no run on {panel.dataset} has one. Keep all"):
            keep_runs(bare, keep)
    assert len(keep_runs(bare).runs) == len(panel.runs)
