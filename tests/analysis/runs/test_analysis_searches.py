"""Which trials count, what those that diverged or failed score, and which share a draw."""

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

from analysis.runs.draws import draw_codes
from analysis.runs.searches import searches
from oodbench.errors import RequestError, UnknownNameError


def test_lost_trials_are_counted_and_kept():
    frame = together(
        search("sgd", [0.8, 0.7], [0.4, 0.02], diverged=1),
        search("adam", [0.6], [0.3], failed=2),
    )
    (one,) = searches(frame)
    assert one.of("sgd").runs["status"].tolist() == ["completed", "completed", "diverged"]
    assert one.of("adam").counts == {"completed": 1, "diverged": 0, "failed": 2}


def test_an_optimizer_has_trials_on_each_split_of_the_data():
    frames = [search("sgd", [0.8, 0.7], [0.4, 0.2], data_seed=seed) for seed in (3, 5)]
    (one,) = searches(together(*frames))
    assert one.of("sgd").splits == (3, 5)
    assert one.of("sgd").runs["draw"].tolist() == [0, 1, 0, 1]


def test_repeats_pending_unscored_and_adaptive_runs_are_no_draws():
    frame = search("sgd", [0.5, 0.6, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.4, np.nan])
    frame.loc[0, "sampler"] = "tpe"
    frame.loc[1, "sampler"] = "confirm"
    frame.loc[2, "status"] = "running"
    (one,) = searches(frame)
    assert one.of("sgd").runs["id_val"].tolist() == [0.8]
    assert one.left_out == {"adaptive": 1, "unscored": 1}
    assert "left out: 1 found by an adaptive search" in one.panel.remarks


def test_runs_without_scores_are_refused():
    frame = search("sgd", [0.5, 0.6], [0.1, 0.2]).assign(ood=np.nan)
    with pytest.raises(RequestError, match="nothing to compare"):
        searches(frame)


def test_lost_runs_alone_are_no_search_of_a_dataset_without_scores():
    frame = search("sgd", [0.5, 0.6], [0.1, 0.2], diverged=3)
    bare = search("sgd", [np.nan], [0.1], diverged=3, dataset="Bare")
    assert [one.panel.dataset for one in searches(together(frame, bare))] == ["D"]


def test_only_adaptive_runs_and_unknown_rules_are_refused():
    frame = search("sgd", [0.5], [0.1], sampler="gp")
    with pytest.raises(RequestError, match=r"no independent draws.*sampler: random"):
        searches(frame)
    with pytest.raises(UnknownNameError, match=r"selection rule 'best'.*id_val, leave_one"):
        searches(frame, "best")
    with pytest.raises(RequestError, match="lacks oracle_val"):
        searches(frame, "oracle")
    frame = search("sgd", [0.5], [0.1], diverged=1, ood_val=np.nan)
    with pytest.raises(RequestError, match="of 1 completed runs on D none was scored on v"):
        searches(frame, "ood_val")


def test_unknown_samplers_and_no_sampler_count():
    frame = search("sgd", [0.5, 0.6], [0.1, 0.2], sampler=None)
    assert len(searches(frame)[0].of("sgd").runs) == 2
    assert len(searches(frame.drop(columns="sampler"))[0].of("sgd").runs) == 2


def codes(*rows):
    columns = ["optimizer", "config_id", "seed"]
    return draw_codes(pd.DataFrame(rows, columns=columns).assign(run=range(len(rows)))).tolist()


def test_draws_are_shared_by_the_seed_of_a_configurations_first_run():
    assert codes(("a", "x", 1), ("a", "y", 2), ("b", "z", 2), ("b", "u", 3)) == [0, 1, 1, 2]
    tasks = [("a", "x", 1), ("a", "y", 2), ("a", "p", 2), ("a", "q", 1)]
    frame = pd.DataFrame(tasks, columns=["optimizer", "config_id", "seed"])
    frame = frame.assign(run=range(4), dataset=["D", "D", "E", "E"])
    assert draw_codes(frame).tolist() == [0, 1, 1, 0]
    repeated = codes(("a", "x", 1), ("a", "x", 9), ("b", "z", 9), ("b", "z", 1))
    assert repeated == [0, 0, 0, 0]


def test_a_seed_that_all_runs_have_tells_nothing_apart():
    assert len(set(codes(*(("a", f"x{i}", 0) for i in range(5))))) == 5
