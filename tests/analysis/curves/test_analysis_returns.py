"""Return curves against curves that are known: exactly, by simulation, and from the literature."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from simulated_returns import simulate

from analysis.curves.fitting import fit_return_curve
from analysis.curves.points import usable
from analysis.curves.return_curves import return_curves, return_table
from analysis.curves.verdicts import judge
from analysis.plots.returns import returns
from analysis.stats.intervals import Estimate
from oodbench.errors import RequestError


def test_a_line_without_noise_is_found_exactly() -> None:
    x = np.random.default_rng(0).beta(5, 2, 60)
    curve = fit_return_curve(x, 0.1 + 0.7 * x, scales=())
    lower, upper = curve.percentiles
    assert (lower, upper) == pytest.approx(np.percentile(x, [5, 95]))
    assert curve.bend.value == pytest.approx(0, abs=1e-6)
    assert curve.gain.value == pytest.approx(0.7 * (upper - lower))
    assert curve.slope.value == pytest.approx(0.7)
    assert (curve.high - curve.low).max() < 1e-6
    assert curve.fitted == pytest.approx(0.1 + 0.7 * curve.grid)
    assert curve.verdict == "linear"


def test_a_bend_is_the_distance_from_the_chord_at_its_middle() -> None:
    x = np.linspace(0.2, 0.8, 400)
    curve = fit_return_curve(x, 0.1 + 0.5 * x**2, scales=())
    width = curve.percentiles[1] - curve.percentiles[0]
    assert curve.bend.value == pytest.approx(0.5 * width**2 / 4, rel=0.01)
    for elsewhere in curve.shapes["accuracy"].elsewhere:
        assert elsewhere.value == pytest.approx(0.5 * width**2 * 3 / 16, rel=0.01)
    assert curve.verdict == "increasing"


def test_a_curve_that_bends_both_ways_is_no_line() -> None:
    """Its middle lies on the chord, a quarter and three quarters do not."""
    x = np.linspace(0.2, 0.8, 400)
    curve = fit_return_curve(
        x, 0.2 + 0.5 * x + 0.1 * np.sin((x - 0.2) * 2 * np.pi / 0.6), scales=()
    )
    assert curve.bend.value == pytest.approx(0, abs=0.005)
    assert curve.verdict == "not determined"


def test_the_curve_is_drawn_where_the_runs_are_and_never_beyond_0_and_1() -> None:
    rng = np.random.default_rng(5)
    x = np.append(rng.uniform(0.8, 0.97, 200), [0.11, 0.995])
    y = np.clip(1.3 * x - 0.25 + rng.normal(0, 0.02, 202), 0, 1)
    curve = fit_return_curve(x, y, scales=())
    assert curve.grid[[0, -1]] == pytest.approx(np.percentile(x, [2, 98]))
    assert curve.low.min() >= 0
    assert curve.high.max() <= 1
    assert (curve.low <= curve.fitted).all()
    assert (curve.fitted <= curve.high).all()


def test_a_curve_that_does_not_fit_determines_nothing() -> None:
    """A jump is no smooth curve, however many knots it has."""
    rng = np.random.default_rng(6)
    x = np.sort(rng.uniform(0.3, 0.9, 1500))
    y = np.where((x * 40).astype(int) % 2, 0.3, 0.6) + 0.2 * x + rng.normal(0, 0.01, 1500)
    curve = fit_return_curve(x, y, scales=())
    assert curve.verdict == "not determined"
    assert curve.reason.startswith("The curve does not fit (p = ")


def test_a_curve_over_a_gap_determines_nothing() -> None:
    rng = np.random.default_rng(7)
    x = np.append(rng.uniform(0.5, 0.55, 20), rng.uniform(0.8, 0.85, 20))
    curve = fit_return_curve(x, x / 2, scales=())
    assert curve.verdict == "not determined"
    assert curve.reason.startswith("Only 0 configurations have an ID accuracy in some third")


def estimate(value: float, error: float) -> Estimate:
    return Estimate(
        value, value - 2 * error, value + 2 * error, value - 1.6 * error, value + 1.6 * error
    )


@pytest.mark.parametrize(
    ("bend", "gain", "verdict"),
    [
        ((0.02, 0.005), (0.2, 0.01), "increasing"),
        ((-0.02, 0.005), (0.2, 0.01), "diminishing"),
        ((0.0, 0.005), (0.2, 0.01), "linear"),
        ((0.0, 0.005), (0.0, 0.005), "flat"),
        ((0.0, 0.005), (-0.2, 0.01), "inverse"),
        ((0.02, 0.005), (-0.2, 0.01), "inverse"),  # whatever its bend
        ((0.02, 0.005), (0.0, 0.005), "increasing"),  # down, then up
        ((0.015, 0.005), (0.2, 0.01), "not determined"),  # above 1 point, but perhaps not
        ((0.005, 0.005), (0.2, 0.01), "not determined"),
        ((0.0, 0.01), (0.2, 0.01), "not determined"),  # too uncertain for a line
        ((0.0, 0.005), (0.01, 0.005), "not determined"),  # a line, flat or not
        ((0.02, 0.005), (-0.01, 0.01), "not determined"),  # bent, but perhaps inverse
        ((np.nan, np.nan), (np.nan, np.nan), "not determined"),
    ],
)
def test_the_rule(bend: tuple, gain: tuple, verdict: str) -> None:
    same = estimate(*bend)
    assert judge(estimate(*gain), same, (same, same), 0.01, 0.01) == verdict


def test_the_rule_asks_the_whole_curve() -> None:
    no, up, down = (estimate(value, 0.003) for value in (0, 0.02, -0.02))
    gain = estimate(0.2, 0.01)
    assert judge(gain, no, (no, up), 0.01, 0.01) == "not determined"
    assert judge(gain, up, (no, down), 0.01, 0.01) == "not determined"
    assert judge(gain, up, (no, no), 0.01, 0.01) == "increasing"


@pytest.mark.parametrize("examples", [168, 359])
def test_a_line_with_half_of_the_runs_crowded_is_no_diminishing_return(examples: int) -> None:
    """On measured ID accuracy it was in 16 (359 examples) and 25 (168) of 30."""
    tally = simulate("half crowded at .90", "line", 500, 30, examples=examples)
    assert tally.wrong <= 0.1  # three of 30; 1.5 expected at a size of 5%
    assert tally.covered >= 0.8


def test_a_bend_in_points_is_found() -> None:
    for design, curve in (("even", "hinge"), ("half crowded at .90", "saturating")):
        tally = simulate(design, curve, 300, 10)
        assert tally.right >= 0.8
        assert tally.wrong == 0


def test_a_steep_change_of_slope_over_a_narrow_range_is_no_bend() -> None:
    """Slope .6 to 1.4 over .85 to .90 leaves the chord by less than half a point."""
    x = np.linspace(0.85, 0.90, 300)
    y = 0.5 + 0.6 * (x - 0.85) + 8 * (x - 0.85) ** 2
    curve = fit_return_curve(x, y, scales=())
    assert curve.bend.value == pytest.approx(0.00405, rel=0.02)  # 8 · (.9 · .05)² / 4
    assert curve.verdict == "linear"
    wide = np.linspace(0.3, 0.9, 300)
    bent = fit_return_curve(wide, 0.2 + 0.8 * wide + 0.2058 * (wide - 0.6) ** 2, scales=())
    assert bent.bend.value == pytest.approx(0.015, rel=0.02)
    assert bent.verdict == "increasing"


@pytest.mark.slow
@pytest.mark.parametrize("design", ["even", "half crowded at .90"])
def test_verdicts_and_coverage(design: str) -> None:
    """What docs/return-curves.md says, with room for the chance of 200 repeats."""
    for curve in ("line", "flat", "inverse", "hinge", "saturating", "line on the probit axis"):
        for n in (100, 500):
            tally = simulate(design, curve, n, repeats=200)
            assert tally.wrong <= 0.06 + 0.035, (curve, n)
            assert tally.covered >= 0.93 - 0.04, (curve, n)


def test_axes_that_disagree_are_told() -> None:
    """A line on the probit axis is a curve on that of accuracy (Miller et al. 2021)."""
    z = np.linspace(-2, 2, 200)
    curve = fit_return_curve(stats.norm.cdf(z), stats.norm.cdf(z - 1.2), chance=0.01)
    assert curve.verdict == "increasing"
    assert curve.shapes["probit"].verdict == "linear"
    assert curve.shapes["probit"].bend.value == pytest.approx(0, abs=3e-3)
    assert "linear on the probit axis" in curve.disagreement
    logit = fit_return_curve(special.expit(z), special.expit(0.5 * z - 1)).shapes["logit"]
    assert (logit.verdict, logit.bend.value) == ("linear", pytest.approx(0, abs=1e-3))


def test_runs_at_chance_are_left_out_and_counted() -> None:
    x = np.concatenate([[0.08, 0.1, 0.12], np.linspace(0.3, 0.9, 30), [np.nan]])
    curve = fit_return_curve(x, x, chance=0.1)
    assert (curve.n, curve.left_out) == (31, {"without scores": 1, "at chance": 2})
    # .12 of 100 examples is within 1.96 standard errors (.0588) of .1.
    assert fit_return_curve(x, x, chance=0.1, n_id=100).left_out["at chance"] == 3


def test_slopes_are_those_of_true_accuracies() -> None:
    """With a second measurement, or with the halves of the one that there is."""
    rng = np.random.default_rng(4)
    true = rng.uniform(0.6, 0.7, 4000)
    seen, other = (rng.binomial(300, true) / 300 for _ in range(2))
    plain = fit_return_curve(seen, true, scales=(), resamples=50)
    assert (plain.corrected, plain.slope.value < 0.75) == ("", True)  # of a true slope of 1
    halves = fit_return_curve(seen, true, n_id=300, scales=(), resamples=50)
    assert (halves.corrected, halves.slope.value) == ("halves", pytest.approx(1, abs=0.06))
    both = fit_return_curve(seen, true, id_val=other, scales=(), resamples=50)
    assert (both.corrected, both.slope.value) == ("id_val", pytest.approx(1, abs=0.04))
    # Var(p) / (Var(p) + E[p (1 - p)] / 300) over the whole is .53; locally it is less at the ends.
    assert 0.2 < both.reliability < 0.53


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
    ("imagenet-testbed", "val->imagenetv2-matched-frequency-format-val"): (
        "increasing",
        "not determined",
    ),
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
    if "imagenetv2" in pair[1]:
        assert abs(curve.shapes["probit"].bend.value) < 0.005


def rows(make: Callable[..., dict], count: int, start: int, **other: object) -> list[dict]:
    ids = np.linspace(0.6, 0.9, count)
    exact = {"n_id": None, **other}  # or half of the examples would be a noisy measurement
    return [make(start + i, "sgd", (float(v), float(v) / 2), **exact) for i, v in enumerate(ids)]


def test_every_run_of_a_group_is_in_its_curve_or_counted(run: Callable[..., dict]) -> None:
    made = [
        *rows(run, 12, 0),
        *rows(run, 5, 100, sampler="tpe"),
        *rows(run, 2, 200, sampler="confirm"),
        run(300, "sgd", None),
        run(301, "sgd", None, status="failed"),
        run(302, "sgd", None, status="waiting"),
        run(303, "sgd", (0.5, 0.4)),  # at chance
        *rows(run, 14, 400, dataset="RotatedDigits", sampler="tpe"),
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
    assert second.n == 14  # all are from one adaptive search: nothing is mixed
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
