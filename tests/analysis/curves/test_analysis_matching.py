"""OOD accuracy at equal ID accuracy, and effective robustness, on curves that are known."""

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

import analysis
from analysis.curves.id_ood_curves import clouds_of, difference, mean_of_curve
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
    assert better["low"] < -0.05 < better["high"]
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
    assert curve["difference"].to_numpy() == pytest.approx(exact.to_numpy())
    assert only(analysis.ood_at_equal_id(frame))["difference"] == pytest.approx(exact.mean())
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
    assert row["low"] < 0.04 < row["high"]
    assert set(table["n_baseline"]) == {80}
    with pytest.raises(RequestError, match="no return curve where another optimizer"):
        analysis.effective_robustness(frame, "sgd")
    with pytest.raises(UnknownNameError, match="Allowed: sgd"):
        analysis.effective_robustness(frame, "adam")


def test_the_jackknife_refits_the_curve_without_each_draw():
    frame = runs("sgd", 0.4, 0.8, n=12)
    frame.loc[1, "config_id"] = frame.loc[0, "config_id"]
    ((_, (cloud,)),) = clouds_of(frame, None, None)
    x = np.array([0.5, 0.7])
    mean = mean_of_curve(cloud, cloud.curve, x)
    basis = cloud.curve.basis(cloud.id)
    for draw, influence in mean.influence.items():
        kept = cloud.draws != draw
        fit = np.linalg.lstsq(basis[kept], cloud.ood[kept], rcond=None)[0]
        assert influence == pytest.approx(mean.value - (cloud.curve.basis(x) @ fit).mean())
    assert len(mean.influence) == 11
    assert difference(mean, mean)[0].high == 0, "a curve differs from itself by nothing"


def test_repeats_of_a_configuration_are_not_taken_for_many():
    frame = together(runs("sgd", 0.4, 0.8, noise=0.05), runs("adam", 0.4, 0.8, 0.02, noise=0.05))
    twice = together(frame, frame.assign(run=frame["run"] + "b"))
    once, again = (only(analysis.ood_at_equal_id(f)) for f in (frame, twice))
    assert again["n_a"] == 2 * once["n_a"]
    assert [again[end] for end in ("low", "high")] == pytest.approx([once["low"], once["high"]])


@pytest.mark.parametrize("related", ["independent", "twins", "opposite"])
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
