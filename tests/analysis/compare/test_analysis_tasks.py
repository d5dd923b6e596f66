"""Averages over tasks, against the single tasks and against scipy."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind
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
        for name in ("value_a", "difference", "improvement"):
            assert row[name] == pytest.approx(mean[name].mean())
        assert (row["datasets"], row["tasks"], row["trials_a"]) == (2, 2, 80)
    kinds = analysis.compare_across(frame, by="kind", budget=4)
    assert kinds["difference"].tolist() == pytest.approx((-both["difference"]).tolist())


@pytest.mark.parametrize("shared", [True, False])
def test_the_error_of_a_mean_over_tasks_knows_whether_they_share_their_draws(shared):
    """A mean over two equal tasks has the error of one, over independent ones 1 / sqrt(2) of it."""
    u, v = np.random.default_rng(0).random((2, 64))
    first = [search("sgd", u, u), search("adam", v, v)]
    second = [search("sgd", u, u), search("adam", v, v)]
    if not shared:
        x, y = np.random.default_rng(1).random((2, 64))
        second = [search("sgd", x, x, first_seed=999), search("adam", y, y, first_seed=999)]
    second = [one.assign(dataset="E") for one in second]
    widths = [
        (table["high"] - table["low"]).iloc[1]
        for table in (
            analysis.compare_optimizers(together(*first), budget=1),
            analysis.compare_across(together(*first, *second), budget=1),
        )
    ]
    assert widths[1] / widths[0] == pytest.approx(1 if shared else 0.7, rel=0.15)


def test_a_dataset_counts_once_whatever_its_environments_are():
    rng = np.random.default_rng(0)
    gains = {("D", "0"): 0.0, ("D", "1"): 0.0, ("D", "2"): 0.0, ("E", "0"): 0.4}
    frame = together(
        *(
            search(
                name, rng.random(20), gain * (name == "adam") + np.zeros(20), dataset=dataset
            ).assign(test_environments=environment)
            for (dataset, environment), gain in gains.items()
            for name in ("sgd", "adam")
        )
    )
    table = analysis.compare_across(frame, budget=4).set_index("score")
    assert table.loc["ood", "difference"] == pytest.approx(-0.2)
    assert table.loc["ood", ["datasets", "tasks"]].tolist() == [2, 4]


def test_datasets_as_a_sample_have_the_interval_of_a_t_test_over_them():
    """Of many exact differences only the spread between datasets is left: scipy's one-sample t."""
    gains = [0.05, 0.02, 0.08, 0.03]
    frame = together(
        *(
            search(name, np.arange(40) / 40, 0.3 + gain * (name == "adam") + np.zeros(40)).assign(
                dataset=f"D{i}"
            )
            for i, gain in enumerate(gains)
            for name in ("sgd", "adam")
        )
    )
    row = analysis.compare_across(frame, budget=4).set_index("score").loc["ood"]
    peer = ttest_1samp(-np.array(gains), 0)
    ends = peer.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((-0.045, -0.045))
    assert row["population_p"] == pytest.approx(peer.pvalue)
    assert (row["population_low"], row["population_high"]) == pytest.approx(tuple(ends))
    assert row["agree"] == 4


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


def test_optimizers_as_a_sample_have_the_interval_of_a_two_sample_t_test():
    """Of many exact values only the spread between optimizers is left: scipy's Student's t."""
    values = {"adam": 0.30, "adamw": 0.34, "adamax": 0.38, "sgd": 0.41, "momentum": 0.47}
    frame = together(
        *(search(name, np.arange(40) / 40, value + np.zeros(40)) for name, value in values.items())
    )
    row = analysis.compare_kinds(frame, budget=4).set_index("score").loc["ood"]
    each = [*values.values()]
    peer = ttest_ind(each[:3], each[3:])
    ends = peer.confidence_interval()
    assert row["population_p"] == pytest.approx(peer.pvalue)
    assert (row["population_low"], row["population_high"]) == pytest.approx(tuple(ends))
