"""OOD accuracy at equal ID accuracy, and effective robustness, on curves that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri
from simulated_returns import scenario, simulate_null
from simulated_searches import search, together

import analysis
from analysis.curves.expected_id import halves
from oodbench.errors import RequestError, UnknownNameError


def runs(optimizer, low, high, shift=0.0, n=80, noise=0.02, rng=None, **other):
    """ID accuracies uniform on [low, high]; OOD accuracy half of it, plus ``shift``."""
    rng = rng or np.random.default_rng(sum(map(ord, optimizer)))
    x = rng.uniform(low, high, n)
    return search(optimizer, x, 0.5 * x + shift + rng.normal(0, noise, n), **other)


def only(table: pd.DataFrame) -> dict:
    (row,) = table.to_dict("records")
    return row


def test_the_better_in_distribution_may_be_no_better_at_equal_id():
    frame = together(
        runs("sgd", 0.4, 0.8),
        runs("adam", 0.6, 1.0, first_seed=1000),
        runs("rmsprop", 0.4, 0.9, 0.05),
    )
    table = analysis.ood_at_equal_id(frame).set_index(["a", "b"])
    same, better = table.loc[("sgd", "adam")], table.loc[("sgd", "rmsprop")]
    assert (same["id_low"], same["id_high"]) == pytest.approx((0.62, 0.78), abs=0.015)
    assert same["shared"] == pytest.approx(0.16 / 0.56, abs=0.03)
    assert same["low"] < 0 < same["high"]
    assert better["difference"] == pytest.approx(-0.05, abs=0.012)
    assert better["high"] < 0
    assert better["verdict"] == "lower"
    assert better["p_holm"] < 0.001
    raw = frame.groupby("optimizer")["ood"].mean()
    assert raw["adam"] - raw["sgd"] == pytest.approx(0.1, abs=0.02)


def test_no_difference_is_found_where_many_runs_show_none():
    frame = together(runs("sgd", 0.3, 0.9, n=400), runs("adam", 0.3, 0.9, n=400, first_seed=1000))
    assert only(analysis.ood_at_equal_id(frame))["verdict"] == "no difference"


def test_ranges_that_hardly_overlap_are_not_compared():
    frame = together(runs("sgd", 0.3, 0.6), runs("adam", 0.55, 0.9))
    row = only(analysis.ood_at_equal_id(frame))
    assert row["verdict"] == "not comparable"
    assert 0 < row["shared"] < 0.1
    assert np.isnan([row["difference"], row["p_holm"]]).all()
    apart = only(analysis.ood_at_equal_id(together(runs("sgd", 0.3, 0.5), runs("adam", 0.6, 0.9))))
    assert (apart["shared"], apart["verdict"]) == (0, "not comparable")
    assert np.isnan(apart["id_low"])
    few = together(runs("sgd", 0.3, 0.9, n=9), runs("adam", 0.3, 0.9))
    assert only(analysis.ood_at_equal_id(few))["verdict"] == "not comparable"
    asked = only(analysis.ood_at_equal_id(frame, least_share=0.01))
    assert asked["verdict"] == "not comparable", "fewer than ten configurations there"


def test_runs_that_are_in_no_curve_are_counted():
    frame = together(
        runs("sgd", 0.3, 0.9, diverged=3, failed=2), runs("adam", 0.3, 0.9), runs("adam", 0.05, 0.1)
    )
    frame.loc[0, "sampler"] = "tpe"
    row = only(analysis.ood_at_equal_id(frame))
    assert (row["n_a"], row["n_b"]) == (79, 80)
    assert row["left_out_a"] == "1 found by an adaptive search, 3 diverged, 2 failed"
    assert row["left_out_b"] == "80 at chance"


def test_the_curve_of_differences_is_that_of_the_curves():
    frame = together(runs("sgd", 0.3, 0.9, noise=0), runs("adam", 0.3, 0.9, noise=0))
    frame.loc[frame["optimizer"] == "adam", "ood"] = 0.2 + frame["id"] ** 2 / 2
    curve = analysis.difference_curve(frame, "sgd", "adam")
    assert len(curve) == 101
    exact = 0.5 * curve["id"] - 0.2 - curve["id"] ** 2 / 2
    assert curve["difference"].to_numpy() == pytest.approx(exact.to_numpy(), abs=1e-3)
    averaged = only(analysis.ood_at_equal_id(frame))["difference"]
    assert averaged == pytest.approx(exact.mean(), abs=1e-4)
    with pytest.raises(UnknownNameError, match="Allowed: adam, sgd"):
        analysis.difference_curve(frame, "sgd", "adamw")
    apart = together(runs("sgd", 0.3, 0.5), runs("adam", 0.6, 0.9))
    with pytest.raises(RequestError, match="share no range"):
        analysis.difference_curve(apart, "sgd", "adam")


def test_effective_robustness_is_the_mean_residual_within_the_baselines_range():
    base = runs("sgd", 0.4, 0.8, noise=0)
    inside = search("adam", np.linspace(0.45, 0.75, 20), 0.5 * np.linspace(0.45, 0.75, 20) + 0.03)
    beyond = search("adam", [0.9, 0.95, 0.3], [0.9, 0.9, 0.9])
    beyond["config_id"] += "b"
    row = only(analysis.effective_robustness(together(base, inside, beyond), "sgd"))
    assert row["difference"] == pytest.approx(0.03)
    assert (row["n"], row["outside"], row["n_baseline"]) == (20, 3, 80)
    assert row["verdict"] == "higher"
    assert (row["baseline"], row["baseline_algorithm"]) == ("sgd", "erm")


def test_a_baseline_may_be_of_another_algorithm():
    frame = together(
        runs("sgd", 0.4, 0.8), runs("sgd", 0.4, 0.8, 0.04, algorithm="irm", first_seed=500)
    )
    frame["config_id"] += frame["algorithm"]
    table = analysis.effective_robustness(frame, "sgd", baseline_algorithm="erm")
    row = only(table)
    assert row["algorithm"] == "irm"
    assert row["difference"] == pytest.approx(0.04, abs=0.015)
    assert row["low"] > 0
    assert set(table["n_baseline"]) == {80}
    with pytest.raises(RequestError, match="no return curve where another optimizer"):
        analysis.effective_robustness(frame, "sgd")
    with pytest.raises(UnknownNameError, match="Allowed: sgd"):
        analysis.effective_robustness(frame, "adam")


def test_repeats_of_a_configuration_are_not_taken_for_many():
    frame = together(runs("sgd", 0.4, 0.8, noise=0.05), runs("adam", 0.4, 0.8, 0.02, noise=0.05))
    twice = together(frame, frame.assign(run=frame["run"] + "b"))
    once, again = (only(analysis.ood_at_equal_id(f)) for f in (frame, twice))
    assert again["n_a"] == 2 * once["n_a"]
    assert [again[end] for end in ("low", "high")] == pytest.approx(
        [once["low"], once["high"]], abs=1e-4
    )


@pytest.mark.parametrize(
    "related",
    [
        pytest.param("independent", marks=pytest.mark.slow),
        "twins",
        pytest.param("opposite", marks=pytest.mark.slow),
    ],
)
def test_intervals_cover_the_difference_of_the_curves(related):
    rng, covered, robust = np.random.default_rng(0), 0, 0
    for _ in range(50):
        x, noise = rng.uniform(0.3, 0.9, 60), rng.normal(0, 0.05, 60)
        y = {"independent": rng.uniform(0.3, 0.9, 60)}.get(related, x)
        same = {"independent": rng.normal(0, 0.05, 60), "twins": noise, "opposite": -noise}[related]
        frame = together(
            search("sgd", x, 0.5 * x + noise),
            search("adam", y, 0.5 * y + 0.02 + same + rng.normal(0, 0.02, 60)),
        )
        row = only(analysis.ood_at_equal_id(frame))
        covered += row["low"] <= -0.02 <= row["high"]
        row = only(analysis.effective_robustness(frame, "sgd"))
        robust += row["low"] <= 0.02 <= row["high"]
    assert min(covered, robust) >= 43  # of 50; of 47.5 expected, fewer by chance in 1 of 300


@pytest.mark.slow
def test_crowding_is_no_difference_at_equal_id_accuracy():
    """On measured ID accuracy 24 of 30 such pairs were judged, wrongly."""
    equal, robust = simulate_null(("even", "all crowded at .90"), "line", 500, 30)
    for tally in (equal, robust):
        assert tally.wrong <= 0.1  # three of 30; at most 1.5 expected
        assert tally.covered >= 0.8


def test_a_hinge_is_no_robustness():
    """The baseline's curve bends sharply; one population is split in two."""
    equal, robust = simulate_null(("wide", "wide"), "hinge", 400, 10, examples=20_000)
    assert equal.wrong == robust.wrong == 0
    assert robust.right > 0.5  # no difference


def test_halves_are_two_measurements_of_the_same_examples():
    rng = np.random.default_rng(3)
    true = rng.uniform(0.5, 0.9, 20_000)
    n = np.full(20_000, 101.0)
    seen = rng.binomial(101, true) / 101
    first, second = halves(seen, n)
    assert 50 * first + 51 * second == pytest.approx(101 * seen)
    covariance = np.cov(first - true, second - true)
    assert covariance[0, 1] == pytest.approx(0, abs=1e-4)
    assert covariance[0, 0] == pytest.approx(np.mean(true * (1 - true)) / 50, rel=0.03)


def panel(slope, noise, n=400):
    """ID and OOD accuracies on a line on probit axes, among the better runs, too."""
    rng = np.random.default_rng(8)
    frame = scenario("even", "line", n, rng, examples=1000)
    z = ndtri(frame["id_test"]) + rng.normal(0, noise, n)
    return frame.assign(ood=ndtr(0.3 + slope * z))


@pytest.mark.parametrize(("slope", "answer"), [(0.8, "no"), (-0.5, "yes"), (0.0, "undecided")])
def test_a_split_is_well_specified_where_better_id_is_not_better_ood(slope, answer):
    frame = panel(slope, 0.2)
    if slope == 0:
        frame["ood"] = np.random.default_rng(9).uniform(0.3, 0.5, len(frame))
    row = only(analysis.accuracy_on_the_line(frame))
    assert row["well_specified"] == answer
    assert row["n_good"] == pytest.approx(200, abs=5)
    if slope:
        assert row["slope_low"] < slope < row["slope_high"]
        assert np.sign(row["correlation_good"]) == np.sign(slope)


def test_the_slope_on_probit_axes_is_that_of_true_accuracies():
    """100 examples flatten the slope of least squares; the instrument's is not."""
    rng = np.random.default_rng(10)
    frame = scenario("all crowded at .90", "line", 4000, rng, examples=300)
    p = np.clip(rng.normal(0.90, 0.02, 4000), 0.01, 0.99)
    for name in ("id_val", "id_test"):
        frame[name] = rng.binomial(300, p) / 300
    frame = frame.assign(id=frame["id_test"], ood=ndtr(0.7 * ndtri(p)))
    row = only(analysis.accuracy_on_the_line(frame))
    z = ndtri(frame[["id", "ood"]].clip(upper=300.5 / 301).to_numpy())
    flat = np.polyfit(z[:, 0], z[:, 1], 1)[0]
    assert flat < 0.5
    assert row["slope"] == pytest.approx(0.7, abs=0.07)
    assert row["correlation"] == pytest.approx(np.corrcoef(z.T)[0, 1], abs=1e-3)
