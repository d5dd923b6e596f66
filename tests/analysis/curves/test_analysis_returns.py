"""Return curves against curves that are known: exactly, by simulation, and from the literature."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from simulated_returns import DESIGNS, simulate, truths

from analysis.curves.fitting import fit_return_curve
from analysis.curves.return_curves import return_curves, return_table, usable
from analysis.curves.verdicts import judge
from analysis.plots.returns import returns
from analysis.stats.intervals import Estimate
from analysis.stats.smooth import fit_smooth
from oodbench.errors import RequestError


def test_a_parabola_without_noise_is_found_exactly() -> None:
    x = np.random.default_rng(0).beta(5, 2, 60)
    curve = fit_return_curve(x, 0.1 + 0.2 * x + 0.3 * x**2, scales=())
    lower, upper = curve.percentiles
    assert (lower, upper) == pytest.approx(np.percentile(x, [17, 83]))
    shape = curve.shapes["accuracy"]
    assert shape.lower_slope.value == pytest.approx(0.2 + 0.6 * lower)
    assert shape.upper_slope.value == pytest.approx(0.2 + 0.6 * upper)
    assert shape.change.value == pytest.approx(0.6 * (upper - lower))
    assert shape.slope.value == pytest.approx(0.2 + 0.3 * (lower + upper))
    assert (curve.high - curve.low).max() < 1e-9  # the percentiles alone are uncertain
    assert curve.fitted == pytest.approx(0.1 + 0.2 * curve.grid + 0.3 * curve.grid**2)


def test_the_bend_may_differ_on_both_sides_of_the_median() -> None:
    x = np.linspace(0.2, 0.8, 61)
    y = 0.1 + 0.5 * x + np.clip(x - 0.5, 0, None) ** 2  # straight up to the median, then bent
    shape = fit_return_curve(x, y, scales=()).shapes["accuracy"]
    assert shape.lower_slope.value == pytest.approx(0.5)
    assert shape.upper_slope.value == pytest.approx(0.5 + 2 * (np.percentile(x, 83) - 0.5))


def test_standard_errors_are_those_of_least_squares() -> None:
    """Where errors are independent and of one size, the textbook's formula is right too."""
    rng = np.random.default_rng(1)
    x = rng.random(1000)
    smooth = fit_smooth(x, x + 0.05 * rng.standard_normal(1000), resamples=4000)
    contrast = np.diff(smooth.slope_basis(np.array([0.2, 0.8])), axis=0)[0]
    basis = smooth.basis(x)
    textbook = 0.05 * np.sqrt(contrast @ np.linalg.inv(basis.T @ basis) @ contrast)
    assert float(smooth.error_of(contrast)) == pytest.approx(textbook, rel=0.08)


def test_seeds_of_one_configuration_count_once() -> None:
    rng = np.random.default_rng(2)
    x = rng.random(80)
    y = x + 0.1 * rng.standard_normal(80)
    once = fit_smooth(x, y, seed=3)
    thrice = fit_smooth(np.tile(x, 3), np.tile(y, 3), clusters=np.tile(np.arange(80), 3), seed=3)
    contrast = once.slope_basis(np.array([0.5]))[0]
    assert thrice.error_of(contrast) == pytest.approx(once.error_of(contrast))
    assert thrice.percentile_draws == pytest.approx(once.percentile_draws)
    taken_for_independent = fit_smooth(np.tile(x, 3), np.tile(y, 3), seed=3)
    ratio = taken_for_independent.error_of(contrast) / once.error_of(contrast)
    assert ratio == pytest.approx(1 / np.sqrt(3), rel=0.1)


def estimate(value: float, error: float) -> Estimate:
    return Estimate(
        value, value - 2 * error, value + 2 * error, value - 1.6 * error, value + 1.6 * error
    )


@pytest.mark.parametrize(
    ("change", "slope", "verdict"),
    [
        ((0.6, 0.1), (0.8, 0.02), "increasing"),
        ((-0.6, 0.1), (0.8, 0.02), "diminishing"),
        ((0.0, 0.1), (0.8, 0.02), "linear"),
        ((0.0, 0.1), (0.0, 0.02), "flat"),
        ((0.0, 0.1), (-0.8, 0.02), "inverse"),
        ((0.6, 0.1), (-0.8, 0.02), "inverse"),  # whatever its bend
        ((0.6, 0.1), (0.0, 0.02), "increasing"),  # down, then up
        ((0.5, 0.1), (0.8, 0.02), "not determined"),  # above .4, but perhaps not
        ((0.3, 0.1), (0.8, 0.02), "not determined"),
        ((0.0, 0.3), (0.8, 0.02), "not determined"),  # too uncertain for a line
        ((0.0, 0.1), (0.1, 0.02), "not determined"),  # a line, flat or not
        ((0.6, 0.1), (-0.1, 0.1), "not determined"),  # bent, but perhaps inverse
        ((np.nan, np.nan), (np.nan, np.nan), "not determined"),
    ],
)
def test_the_rule(change: tuple, slope: tuple, verdict: str) -> None:
    assert judge(estimate(*change), estimate(*slope), 0.4, 0.1) == verdict


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("truth", ["increasing by twice the smallest change", "a line", "flat"])
def test_five_hundred_runs_decide(design: str, truth: str) -> None:
    tally = simulate(truths(design)[truth], design, n=500, repeats=40)
    assert tally.right >= 0.9
    assert tally.wrong == 0


@pytest.mark.parametrize("truth", truths("even"))
def test_twenty_four_runs_seldom_do_and_are_seldom_wrong(truth: str) -> None:
    tally = simulate(truths("even")[truth], "even", n=24, repeats=60, resamples=100)
    assert tally.wrong <= 0.1
    if not truth.startswith("inverse"):  # half of the range down is seen at once
        assert tally.withheld > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("n", [24, 100, 500])
@pytest.mark.parametrize("design", DESIGNS)
def test_verdicts_and_coverage(design: str, n: int) -> None:
    """What docs/return-curves.md says, with room for the chance of 400 repeats."""
    for name, truth in truths(design).items():
        tally = simulate(truth, design, n, repeats=400)
        assert tally.wrong <= 0.05 + 0.025, name
        if n >= 100:
            assert 0.93 - 0.02 <= tally.covered <= 0.97 + 0.015, name
        if n == 500 and "twice" in name:
            assert tally.right >= 0.9, name


def test_axes_that_disagree_are_told() -> None:
    """A line on the probit axis is a curve on that of accuracy (Miller et al. 2021)."""
    z = np.linspace(-2, 2, 200)
    curve = fit_return_curve(stats.norm.cdf(z), stats.norm.cdf(z - 1.2), chance=0.01)
    assert curve.verdict == "increasing"
    assert curve.shapes["probit"].verdict == "linear"
    assert curve.shapes["probit"].slope.value == pytest.approx(1)
    assert "linear on the probit axis" in curve.disagreement
    logit = fit_return_curve(special.expit(z), special.expit(0.5 * z - 1)).shapes["logit"]
    assert (logit.verdict, logit.slope.value) == ("linear", pytest.approx(0.5))


def test_accuracies_of_zero_and_one_stay_on_every_axis_where_sizes_are_known() -> None:
    x = np.append(np.linspace(0.5, 0.9, 30), 1.0)
    y = np.append(np.linspace(0.4, 0.8, 30), 0.0)
    unknown = fit_return_curve(x, y)
    assert (unknown.shapes["accuracy"].n, unknown.shapes["logit"].n) == (31, 30)
    assert fit_return_curve(x, y, n_id=200, n_ood=100).shapes["logit"].n == 31
    assert fit_return_curve(x, y, n_id=200).shapes["logit"].n == 30  # its OOD size is unknown


def test_runs_at_chance_are_left_out_and_counted() -> None:
    x = np.concatenate([[0.08, 0.1, 0.12], np.linspace(0.3, 0.9, 30), [np.nan]])
    curve = fit_return_curve(x, x, chance=0.1)
    assert (curve.n, curve.left_out) == (31, {"without scores": 1, "at chance": 2})
    # .12 of 100 examples is within 1.96 standard errors (.0588) of .1.
    assert fit_return_curve(x, x, chance=0.1, n_id=100).left_out["at chance"] == 3


def test_reliability_is_the_share_that_is_not_sampling() -> None:
    rng = np.random.default_rng(4)
    true = rng.uniform(0.6, 0.7, 4000)
    seen = rng.binomial(300, true) / 300
    curve = fit_return_curve(seen, true, n_id=300, scales=(), resamples=50)
    assert curve.reliability == pytest.approx(np.var(true) / np.var(seen), abs=0.03)
    assert curve.slope.value < 0.75  # of a true slope of 1: that is why it is told


def test_too_few_runs_have_a_reason_instead_of_a_curve() -> None:
    curve = fit_return_curve([0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.7, 0.8])
    assert (curve.verdict, curve.n, curve.grid.size) == ("not determined", 4, 0)
    assert "at least 5 configurations" in curve.reason
    assert fit_return_curve([], []).n == 0


def test_what_is_no_accuracy_is_refused() -> None:
    with pytest.raises(RequestError, match="an OOD accuracy is 54"):
        fit_return_curve([0.5, 0.6], [0.5, 54])
    with pytest.raises(RequestError, match=r"\(2,\) and \(3,\)"):
        fit_return_curve([0.5, 0.6], [0.5, 0.6, 0.7])


KNOWN = {  # (source, pair) -> the verdict on the axes of accuracy and probit
    ("timm", "imagenet->imagenetv2-mf"): ("linear", "linear"),
    ("imagenet-testbed", "val->imagenetv2-matched-frequency-format-val"): ("increasing", "linear"),
    ("timm", "imagenet-a-classes->imagenet-a"): ("increasing", "increasing"),
    ("timm", "imagenet->imagenet-sketch"): ("increasing", "increasing"),
    ("timm", "imagenet-r-classes->imagenet-r"): ("increasing", "increasing"),
}


@pytest.mark.parametrize("pair", KNOWN, ids="/".join)
def test_what_is_known_of_real_models(pair: tuple[str, str]) -> None:
    """ImageNet-V2 is a line on the probit axis (Miller et al. 2021); A, R and Sketch bend up."""
    folder = os.environ.get("OODBENCH_TEST_DATA")
    if not folder:
        pytest.skip("OODBENCH_TEST_DATA does not say where the real pairs are")
    models = pd.read_csv(Path(folder) / "id_ood_pairs" / "pairs.csv")
    models = models[(models["source"] == pair[0]) & (models["pair"] == pair[1])]
    curve = fit_return_curve(models["id"], models["ood"], scales=("probit",), resamples=500)
    assert (curve.verdict, curve.shapes["probit"].verdict) == KNOWN[pair]


def rows(make: Callable[..., dict], count: int, start: int, **other: object) -> list[dict]:
    ids = np.linspace(0.6, 0.9, count)
    return [make(start + i, "sgd", (float(v), float(v) / 2), **other) for i, v in enumerate(ids)]


def test_every_run_of_a_group_is_in_its_curve_or_counted(run: Callable[..., dict]) -> None:
    made = [
        *rows(run, 12, 0),
        *rows(run, 5, 100, sampler="tpe"),
        *rows(run, 2, 200, sampler="confirm"),
        run(300, "sgd", None),
        run(301, "sgd", None, status="failed"),
        run(302, "sgd", None, status="waiting"),
        run(303, "sgd", (0.5, 0.4)),  # at chance
        *rows(run, 8, 400, dataset="RotatedDigits", sampler="tpe"),
    ]
    curves = return_curves(pd.DataFrame(made))
    first, second = curves.values()
    assert next(iter(curves)) == ("ColoredDigits", "2", "erm", "sgd")
    assert first.n == 12
    assert first.left_out == {
        "repeats on other seeds": 2,
        "found by an adaptive search": 5,
        "diverged": 1,
        "failed": 1,
        "not finished": 1,
        "at chance": 1,
    }
    assert first.n + sum(first.left_out.values()) == 23
    assert second.n == 8  # all are from one adaptive search: nothing is mixed
    table = return_table(curves)
    assert list(table["verdict"]) == ["linear", "linear"]
    assert table["slope"].tolist() == pytest.approx([0.5, 0.5])
    assert "5 found by an adaptive search" in table["left_out"][0]


def test_datasets_are_never_pooled(run: Callable[..., dict]) -> None:
    frame = pd.DataFrame(rows(run, 9, 0))
    with pytest.raises(RequestError, match="never pools different values of dataset"):
        return_curves(frame, by=("algorithm", "test_environments"))
    kept, left_out = usable(frame)
    assert (len(kept), left_out) == (9, {})


def test_only_verdicts_that_are_found_are_drawn_as_curves(run: Callable[..., dict]) -> None:
    few = [run(50 + i, "adam", (0.6 + i / 50, 0.3)) for i in range(3)]
    figure = returns(pd.DataFrame([*rows(run, 40, 0), *few, run(99, "adam", None)]))
    ids = {line.get_gid() for axes in figure.axes for line in axes.lines}
    assert "curve-SGD" in ids
    assert "curve-Adam" not in ids
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words.index("linear") < words.index("not determined")
    assert words[words.index("no curve") :][:4] == ["no curve", "3", "1", "0"]
