"""Optimizers and kinds against each other: hand-worked numbers, peers' tests, simulated truths."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_searches import search, together

import analysis
from analysis.compare.verdicts import DEPENDS
from analysis.stats.best_of import ranked
from oodbench.errors import RequestError, UnknownNameError


def by_score(table: pd.DataFrame) -> dict[str, dict]:
    return {row["score"]: row for row in table.to_dict("records")}


def test_differences_and_effects_by_hand():
    a = search("sgd", [0.5, 0.6, 0.7], [0.2, 0.4, 0.6])
    b = search("adam", [0.6, 0.7, 0.8], [0.5, 0.4, 0.2])
    found = by_score(analysis.compare_optimizers(together(a, b), budget=2))
    ood = found["ood"]
    # Of the three pairs the highest is selected in 2, the middle one in 1.
    assert ood["value_a"] == pytest.approx((0.4 + 2 * 0.6) / 3)
    assert ood["value_b"] == pytest.approx((0.4 + 2 * 0.2) / 3)
    assert ood["difference"] == pytest.approx(0.8 / 3)
    # .6 (2 of 3) beats both; .4 beats .2 (2 of 3) and ties with .4.
    assert ood["improvement"] == pytest.approx(2 / 3 + (2 / 3 + 1 / 3 / 2) / 3)
    assert (ood["a"], ood["b"], ood["n_a"], ood["trials_b"], ood["unit"]) == (
        *("sgd", "adam"),
        *(2, 3, "trials"),
    )
    assert np.isnan([ood["low"], ood["p"]]).all(), "three draws tell nothing"
    assert ood["verdict"] == "undecided"


def test_a_search_of_lost_trials_alone_scores_0_and_no_other_optimizer_decides_it():
    a = search("sgd", [0.8], [0.3], diverged=1)
    b = search("adam", [0.7, 0.75], [0.2, 0.25])
    bad = search("rmsprop", [0.1, 0.1], [0.01, 0.01])
    for frame in (together(a, b), together(a, b, bad)):
        ood = analysis.compare_optimizers(frame, budget=1).iloc[1]
        assert (ood["completed_a"], ood["diverged_a"], ood["failed_a"]) == (1, 1, 0)
        assert ood["no_model_a"] == pytest.approx(0.5)
        assert ood["value_a"] == pytest.approx(0.3 / 2)
        assert ood["difference"] == pytest.approx(0.15 - 0.225)


def width(*frames: pd.DataFrame) -> float:
    row = by_score(analysis.compare_optimizers(together(*frames), budget=1))["ood"]
    return row["high"] - row["low"]


def test_shared_draws_decide_how_wide_the_interval_of_a_difference_is():
    u = np.random.default_rng(0).random(64)
    sgd, twin, mirror = search("sgd", u, u), search("adam", u + 0.01, u), search("adam", u, 1 - u)
    apart = width(sgd, search("adam", u, u, first_seed=1000))
    assert width(sgd, twin) == pytest.approx(0, abs=1e-12)
    # Of opposite draws the difference has twice the error of one mean, not sqrt(2) times.
    assert width(sgd, mirror) / apart == pytest.approx(np.sqrt(2), rel=0.15)


def test_holm_corrects_over_all_pairs_of_one_score():
    rng = np.random.default_rng(0)
    names = ("sgd", "momentum", "adam")
    frames = [
        search(n, rng.random(40), rng.random(40), first_seed=100 * i) for i, n in enumerate(names)
    ]
    both = together(*frames, *(one.assign(dataset="E") for one in frames))
    table = analysis.compare_optimizers(both)
    assert len(table) == 12
    ood = table[table["score"] == "ood"].sort_values("p")
    assert ood["p_holm"].iloc[0] == pytest.approx(min(1, 6 * ood["p"].iloc[0]))
    assert (table["p_holm"] >= table["p"]).all()


def test_a_kind_is_the_mean_of_its_optimizers():
    rng = np.random.default_rng(0)
    frames = {
        name: search(name, rng.random(16), rng.random(16), first_seed=100 * i)
        for i, name in enumerate(["sgd", "adam", "momentum", "adamw"])
    }
    table = analysis.compare_kinds(together(*frames.values()), budget=3)
    best = analysis.expected_best(together(*frames.values()), budgets=[3]).set_index("optimizer")
    ood = by_score(table)["ood"]
    assert (ood["a"], ood["b"]) == ("adaptive", "non-adaptive")
    assert ood["value_a"] == pytest.approx(best.loc[["adam", "adamw"], "ood"].mean())
    assert ood["value_b"] == pytest.approx(best.loc[["sgd", "momentum"], "ood"].mean())
    every = analysis.compare_optimizers(together(*frames.values()), budget=3)
    crossed = [
        row["improvement"] if row["a"] in ("adam", "adamw") else 1 - row["improvement"]
        for row in every[every["score"] == "ood"].to_dict("records")
        if row["a"].startswith("ad") != row["b"].startswith("ad")
    ]
    assert len(crossed) == 4
    assert ood["improvement"] == pytest.approx(np.mean(crossed))
    assert (ood["trials_a"], ood["p_holm"]) == (32, ood["p"])
    with pytest.raises(RequestError, match="Train optimizers of both kinds"):
        analysis.compare_kinds(together(frames["sgd"], frames["momentum"]))


def test_an_optimizer_against_one_or_against_the_mean_of_the_others():
    rng = np.random.default_rng(0)
    names = ("sgd", "momentum", "adam")
    frame = together(*(search(n, rng.random(16), rng.random(16)) for n in names))
    best = analysis.expected_best(frame, budgets=[2]).set_index("optimizer")["ood"]
    table = analysis.compare_to(frame, budget=2)
    ood = table[table["score"] == "ood"].set_index("a")
    assert ood.loc["adam", "difference"] == pytest.approx(
        best["adam"] - best[["sgd", "momentum"]].mean()
    )
    assert set(ood["b"]) == {"the others"}
    table = analysis.compare_to(frame, "sgd", budget=2)
    ood = table[table["score"] == "ood"].set_index("a")["difference"]
    assert ood.to_dict() == pytest.approx({n: best[n] - best["sgd"] for n in ("momentum", "adam")})
    with pytest.raises(UnknownNameError, match="Allowed: adam, momentum, sgd"):
        analysis.compare_to(frame, "rmsprop")


def test_a_costlier_optimizer_gets_fewer_trials_for_the_same_gradients():
    rng = np.random.default_rng(0)
    frame = together(
        search("sgd", rng.random(40), rng.random(40)),
        search("sam", rng.random(40), rng.random(40), gradient_evaluations=200),
    )
    row = analysis.compare_optimizers(frame, budget=800, unit="gradient_evaluations").iloc[0]
    assert (row["n_a"], row["n_b"]) == (8, 4)
    row = analysis.compare_optimizers(frame, unit="gradient_evaluations").iloc[0]
    assert (row["budget"], row["n_a"], row["n_b"]) == (600, 6, 3), "4 at 150 each"
    assert analysis.compare_optimizers(frame).iloc[0]["budget"] == 8
    whole = analysis.compare_optimizers(frame, budget=4000, unit="gradient_evaluations").iloc[0]
    assert (whole["n_a"], whole["n_b"]) == (40, 20)


def test_impossible_comparisons_are_refused():
    frame = together(search("sgd", [0.5] * 8, [0.5] * 8), search("adam", [0.5] * 4, [0.5] * 4))
    with pytest.raises(RequestError, match="here 1 to 4 trials, but it is 5"):
        analysis.compare_optimizers(frame, budget=5)
    with pytest.raises(RequestError, match="but it is 0"):
        analysis.compare_optimizers(frame, budget=0)
    with pytest.raises(UnknownNameError, match="Allowed: gradient_evaluations, seconds, trials"):
        analysis.compare_optimizers(frame, unit="hours")  # type: ignore[arg-type]
    without = frame.drop(columns="gradient_evaluations")
    with pytest.raises(RequestError, match="needs the column gradient_evaluations"):
        analysis.compare_optimizers(without, unit="gradient_evaluations")
    with pytest.raises(RequestError, match="Train another optimizer"):
        analysis.compare_optimizers(frame[frame["optimizer"] == "sgd"])


def draw(rng, u, shift=0.0):
    id_val = np.round(0.5 + 0.35 * np.sqrt(u) + rng.normal(0, 0.004, len(u)), 3)
    return id_val, 0.3 + 0.3 * (id_val - 0.5) + shift + rng.normal(0, 0.03, len(u))


SECOND = {
    "shared": lambda rng, u: u,
    "opposite": lambda rng, u: 1 - u,
    "independent": lambda rng, u: rng.random(len(u)),
}


@pytest.mark.parametrize(
    "second", [pytest.param("shared", marks=pytest.mark.slow), "opposite", "independent"]
)
@pytest.mark.parametrize("trials", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_intervals_cover_the_difference_however_draws_are_related(second, trials):
    rng = np.random.default_rng(trials)
    n, truth = (4 if trials < 32 else 8), []
    for shift in (0.0, 0.01):
        rank, ood = draw(rng, rng.random(400_000), shift)
        truth.append(ranked(rank[None], np.ones((1, len(rank)))).expected([ood[None]], [n]).item())
    covered, false = 0, 0
    for seed in range(60):
        u = rng.random(trials)
        frame = together(
            search("sgd", *draw(rng, u)), search("adam", *draw(rng, SECOND[second](rng, u), 0.01))
        )
        found = by_score(analysis.compare_optimizers(frame, resamples=100, seed=seed))
        covered += found["ood"]["low"] <= truth[0] - truth[1] <= found["ood"]["high"]
        false += found["id"]["verdict"] in ("higher", "lower")
    assert covered >= 52  # of 60; of 57 expected, fewer by chance in 1 of 300
    assert false <= 8  # likewise, of 3 expected


def test_the_budget_is_fixed_in_advance_and_a_change_of_sign_is_told():
    """At 4 draws a is better; at 64 the one good draw of b in 256 is found."""
    rng = np.random.default_rng(0)
    a, b = rng.random(512) / 100, rng.random(512) / 100
    b[:16] += 0.5
    frame = together(search("sgd", a, 0.5 + a), search("adam", b, 0.4 + b, first_seed=1000))
    ood = by_score(analysis.compare_optimizers(frame))["ood"]
    assert ood["budget"] == 8
    assert [amount for amount, _, _ in ood["at_budgets"]] == [8, 4, 16, 32, 64, 128]
    signs = {amount: sign for amount, _, sign in ood["at_budgets"]}
    assert (signs[4], signs[128]) == (1, -1)
    assert by_score(analysis.compare_optimizers(frame, budget=4))["ood"]["verdict"] == DEPENDS
    few = by_score(analysis.compare_optimizers(frame.groupby("optimizer").head(12)))["ood"]
    assert few["budget"] == 1
    assert (
        by_score(analysis.compare_optimizers(frame.groupby("optimizer").head(31)))["ood"]["budget"]
        == 4
    )


def test_several_splits_of_the_data_are_averaged_and_covered():
    """The difference is 0, .1 and .2 on three splits, whatever is drawn: t with 2 degrees."""
    u = np.arange(40) / 40
    frame = together(
        *(
            search(name, u, 0.3 + gain * (name == "adam") + np.zeros(40), data_seed=split)
            for split, gain in enumerate((0.0, 0.1, 0.2))
            for name in ("sgd", "adam")
        )
    )
    ood = by_score(analysis.compare_optimizers(frame, budget=4))["ood"]
    assert ood["splits"] == 3
    assert ood["difference"] == pytest.approx(-0.1)
    half = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert (ood["low"], ood["high"]) == pytest.approx((-0.1 - half, -0.1 + half))
