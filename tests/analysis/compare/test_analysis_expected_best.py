"""The table of budget curves: what counts as a trial, its cost, and its intervals."""

import numpy as np
import pytest
from simulated_searches import search, together

import analysis
from analysis.stats.best_of import ranked
from oodbench.errors import RequestError


def test_the_selected_run_is_chosen_by_validation_and_scored_on_test_examples():
    # Of two draws it is the higher of the two.
    frame = search("sgd", [0.7, 0.8], [0.4, 0.2], id_test=[0.75, 0.71])
    table = analysis.expected_best(frame, budgets=[1, 2])
    assert table["id"].tolist() == pytest.approx([0.73, 0.71])
    assert table["ood"].tolist() == pytest.approx([0.3, 0.2])
    assert table["rule"].tolist() == ["id_val"] * 2
    oracle = analysis.expected_best(frame.assign(oracle_val=[0.9, 0.1]), "oracle", [2])
    assert oracle["ood"].tolist() == pytest.approx([0.4])


def test_a_lost_trial_is_spent_and_selected_only_among_its_like():
    frame = search("sgd", [0.8], [0.6], diverged=2, failed=1)
    (row,) = analysis.expected_best(frame, budgets=[2]).to_dict("records")
    assert (row["trials"], row["completed"], row["diverged"], row["failed"]) == (4, 1, 2, 1)
    lost = 3 / 6  # of the six pairs, those of two lost trials
    assert row["no_model"] == pytest.approx(lost)
    assert row["ood"] == pytest.approx((1 - lost) * 0.6)
    assert row["id"] == pytest.approx((1 - lost) * 0.8)


def test_an_optimizer_that_diverges_gains_nothing_where_training_ends_below_chance():
    scores = [0.8] * 8, [0.1] * 8
    frame = together(search("sgd", *scores), search("adam", *scores, diverged=8)).assign(chance=0.5)
    table = analysis.expected_best(frame, budgets=[1]).set_index("optimizer")
    assert table["ood"].to_dict() == pytest.approx({"sgd": 0.1, "adam": 0.05})
    assert table["id"].to_dict() == pytest.approx({"sgd": 0.8, "adam": 0.4})


def test_gradient_evaluations_are_those_of_a_mean_trial():
    frame = search("sgd", [0.8, 0.7], [0.6, 0.5], diverged=1)
    frame["gradient_evaluations"] = [100, 100, 10]
    table = analysis.expected_best(frame, budgets=[1, 3])
    assert table["gradient_evaluations"].tolist() == pytest.approx([70, 210])
    without = analysis.expected_best(frame.drop(columns="gradient_evaluations"), budgets=[1])
    assert without["gradient_evaluations"].isna().all()


def test_budgets_go_to_the_number_of_trials_and_intervals_to_a_quarter_of_it():
    rng = np.random.default_rng(0)
    frame = together(
        search("sgd", rng.random(100), rng.random(100)), search("adam", rng.random(6), np.ones(6))
    )
    table = analysis.expected_best(frame)
    of = dict(iter(table.groupby("optimizer")))
    assert of["adam"]["n"].tolist() == [1, 2, 3, 4, 5, 6]
    assert of["sgd"]["n"].tolist()[:18] == [*range(1, 17), 20, 25]
    assert of["sgd"]["n"].max() == 100
    known = of["sgd"]["id_low"].notna()
    assert (known == (of["sgd"]["n"] <= 25)).all()
    asked = analysis.expected_best(frame, budgets=range(1, 101))
    assert len(asked) == 100 + 6
    with pytest.raises(RequestError, match=r"at least 1.*\[0, 2\]"):
        analysis.expected_best(frame, budgets=[2, 0])


def test_repeats_of_a_configuration_are_trials_but_no_further_draws():
    rng = np.random.default_rng(0)
    frame = search("sgd", np.repeat(rng.random(10), 4), np.repeat(rng.random(10), 4))
    alone = analysis.expected_best(frame, budgets=[1])
    frame["config_id"] = np.repeat(np.arange(10), 4).astype(str)
    clustered = analysis.expected_best(frame, budgets=[1])
    assert clustered["ood"].tolist() == alone["ood"].tolist()
    wide, narrow = ((t["ood_high"] - t["ood_low"]).item() for t in (clustered, alone))
    assert wide / narrow == pytest.approx(2 * 2.26 / 2.02, rel=0.15)  # t with 9 and 39 degrees
    assert analysis.expected_best(frame, budgets=[3])["ood_low"].isna().all()


def test_equal_seeds_give_equal_tables():
    rng = np.random.default_rng(0)
    frame = search("sgd", rng.random(40), rng.random(40))
    first, again, other = (
        analysis.expected_best(frame, budgets=[5], seed=seed) for seed in (1, 1, 2)
    )
    assert first.equals(again)
    assert not first.equals(other)


def draw(rng, n):
    """Validation accuracy with measurement noise and ties; OOD accuracy that depends on it."""
    u = rng.random(n)
    id_val = np.round(np.minimum(0.85, 0.5 + 0.5 * u) + rng.normal(0, 0.005, n), 3)
    return id_val, 0.1 + 0.3 * rng.random(n) ** 3 + 0.2 * (id_val - 0.5)


@pytest.mark.parametrize("n", [1, 5, 10])
def test_intervals_cover_the_expectation_of_the_search_distribution(n):
    rng = np.random.default_rng(n)
    rank, ood = draw(rng, 400_000)
    truth = {
        name: ranked(rank[None], np.ones((1, len(rank)))).expected([values[None]], [n]).item()
        for name, values in (("id", rank), ("ood", ood))
    }
    covered = dict.fromkeys(truth, 0)
    for _ in range(50):
        frame = search("sgd", *draw(rng, 40))
        (row,) = analysis.expected_best(frame, budgets=[n], resamples=100).to_dict("records")
        for name, value in truth.items():
            covered[name] += row[f"{name}_low"] <= value <= row[f"{name}_high"]
    assert min(covered.values()) >= 43  # of 50; of 47.5 expected, fewer by chance in 1 of 300
