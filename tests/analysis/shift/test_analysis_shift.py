"""Both shifts against closed forms: Gaussians, flipped labels, no shift at all."""

import numpy as np
import pytest
from scipy.stats import norm

from analysis.shift.classes import shift_class, shift_table
from analysis.shift.measure import (
    TARGET,
    VARIANTS,
    Thresholds,
    balanced,
    calibrate,
    estimate,
    measure_shift,
    resplit,
)
from analysis.stats.densities import Densities, estimate_densities
from oodbench.errors import RequestError

EVERYWHERE = Thresholds(np.inf, 0.0)
"""Every point counts for both shifts."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def spurious(rng, n, agreement, d=2):
    """Labels 0 and 1, and a feature at 0 or 4 that agrees with them; the rest is noise."""
    y = rng.integers(0, 2, n)
    z = rng.normal(size=(n, d))
    z[:, 0] = 0.2 * z[:, 0] + 4 * np.where(rng.random(n) < agreement, y, 1 - y)
    return z, y


def gaussians(rng, delta, points=40_000):
    """Exact densities of N(0, 1) and N(delta, 1), and of one class, at points of their mixture."""
    at = rng.normal(size=points) + delta * (rng.random(points) < 0.5)
    p, q = norm.pdf(at), norm.pdf(at, delta)
    return Densities(p, q, p[None], q[None], np.ones(1))


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_diversity_of_two_gaussians_is_their_distance(rng, delta):
    d = gaussians(rng, delta)
    total_variation = 2 * norm.cdf(delta / 2) - 1
    squared_hellinger = 1 - np.exp(-(delta**2) / 8)
    legacy, plus = (estimate(d, variant, EVERYWHERE) for variant in ("legacy", "plus"))
    assert legacy.diversity == pytest.approx(total_variation, abs=0.006)
    assert plus.diversity == pytest.approx(squared_hellinger, abs=0.006)
    assert (legacy.correlation, plus.correlation) == pytest.approx((0, 0), abs=1e-12)


def test_diversity_below_a_threshold_is_the_integral_over_the_tails(rng):
    delta, below = 2.0, 0.05
    grid = np.linspace(-10, 12, 200_001)
    p, q = norm.pdf(grid), norm.pdf(grid, delta)
    tails = np.minimum(p, q) <= below
    expected = np.trapezoid(np.where(tails, np.abs(p - q), 0), grid) / 2
    found = estimate(gaussians(rng, delta), "legacy", Thresholds(below, np.inf))
    assert found.diversity == pytest.approx(expected, abs=0.006)
    assert found.correlation == 0


def test_kernel_estimates_come_near_the_closed_form(rng):
    n, delta = 1500, 2.0
    z = np.concatenate([rng.normal(size=(n, 1)), rng.normal(delta, size=(n, 1))])
    is_q = np.repeat([False, True], n)
    d = estimate_densities(z, np.zeros(2 * n, int), is_q, 4000, rng)
    found = estimate(d, "legacy", EVERYWHERE).diversity
    assert found == pytest.approx(2 * norm.cdf(delta / 2) - 1, abs=0.04)


def test_the_two_are_parts_of_the_squared_hellinger_distance_of_features_and_labels(rng):
    """plus: div + cor = 1 - sum of P(y) of the integral of sqrt(p_y q_y), wherever p and q lie."""
    weights = np.array([0.25, 0.75])
    means, n = np.array([0.0, 1.0, 2.0, 0.5]), 80_000
    of_whom = rng.choice(4, n, p=[*weights / 2, *weights / 2])
    at = rng.normal(means[of_whom])
    p_of, q_of = norm.pdf(at, means[:, None]).reshape(2, 2, n)
    d = Densities(weights @ p_of, weights @ q_of, p_of, q_of, weights)
    found = estimate(d, "plus", EVERYWHERE)
    affinity = weights @ np.exp(-(np.array([2.0, 0.5]) ** 2) / 8)
    assert found.diversity + found.correlation == pytest.approx(1 - affinity, abs=0.01)
    assert min(found.diversity, found.correlation) > 0.003


def test_estimates_equal_the_published_formulas_added_up_point_by_point(rng):
    n = 30
    p_of, q_of = rng.random((2, 3, n))
    weights = np.array([0.2, 0.3, 0.5])
    p, q = rng.random((2, n))
    d = Densities(p, q, p_of, q_of, weights)
    below, above = 0.2, 0.4
    for variant in VARIANTS:
        div = cor = 0.0
        for j in range(n):
            p, q, s = d.p[j], d.q[j], d.pooled[j]
            if p < below or q < below:
                div += (abs(p - q) if variant == "legacy" else (p**0.5 - q**0.5) ** 2) / s
            if p > above and q > above:
                for y in range(3):
                    a, b = p_of[y, j] * (q / p) ** 0.5, q_of[y, j] * (p / q) ** 0.5
                    mixed = 2 * (p_of[y, j] * q_of[y, j]) ** 0.5
                    cor += weights[y] * (abs(a - b) if variant == "legacy" else a + b - mixed) / s
        found = estimate(d, variant, Thresholds(below, above))
        assert (found.diversity, found.correlation) == pytest.approx((div / n / 2, cor / n / 2))


def test_disjoint_supports(rng):
    y = rng.integers(0, 2, 800)
    found = measure_shift(
        rng.normal(size=(800, 2)), y, rng.normal(30, size=(800, 2)), y, points=1500
    )
    for shifts in (found.plus, found.legacy):
        assert shifts.diversity == pytest.approx(1, abs=0.001)
        assert shifts.correlation == 0
    assert (found.diversity_share, found.correlation_share) == (1, 0)
    assert shift_class([found]) == "diversity"


def test_flipped_labels(rng):
    found = measure_shift(*spurious(rng, 800, 1.0), *spurious(rng, 800, 0.0), points=1500)
    for shifts in (found.plus, found.legacy):
        assert shifts.correlation == pytest.approx(1, abs=0.05)
        assert shifts.diversity < 0.02
    assert found.correlation_share > 0.97
    assert shift_class([found]) == "correlation"


def test_a_feature_that_agrees_with_the_label_less_often(rng):
    """ColoredMNIST's colour: total variation .85 - .10; Hellinger 1 - (sqrt .085 + sqrt .135)."""
    found = measure_shift(*spurious(rng, 1500, 0.85), *spurious(rng, 1500, 0.10), points=2000)
    assert found.legacy.correlation == pytest.approx(0.75, abs=0.05)
    assert found.plus.correlation == pytest.approx(1 - 0.085**0.5 - 0.135**0.5, abs=0.03)
    assert found.plus.diversity < 0.01
    assert found.n == pytest.approx(1500, abs=100)


@pytest.mark.parametrize("d", [2, 8])
def test_no_shift_in_few_and_in_many_dimensions(rng, d):
    sides = [(rng.normal(size=(600, d)), rng.integers(0, 2, 600)) for _ in range(2)]
    found = measure_shift(*sides[0], *sides[1], points=1500)
    assert max(found.plus.diversity, found.plus.correlation) < 0.02
    assert max(found.iid_plus.diversity, found.iid_plus.correlation) <= TARGET
    assert found.correlation_share > 0.05, "the published threshold leaves none in 8-d"
    assert shift_class([found]) == "none"


def test_calibration_counts_as_many_points_as_may_be(rng):
    """With one more point, the correlation shift or the diversity shift would exceed the target."""
    z, y = rng.normal(size=(800, 8)), rng.integers(0, 2, 800)
    is_q = resplit(y, np.repeat([False, True], 400), rng)
    d = estimate_densities(z, y, is_q, 1000, rng)
    found = calibrate(d)
    assert 0 < found.diversity_below < found.correlation_above
    now = estimate(d, "plus", found)
    assert max(now.diversity, now.correlation) <= TARGET
    above = d.lower[d.lower <= found.correlation_above].max()
    below = d.lower[d.lower > found.diversity_below].min()
    wider = estimate(d, "plus", Thresholds(below, np.nextafter(above, 0)))
    assert min(wider.diversity, wider.correlation) > TARGET


def test_label_shift_is_no_shift(rng):
    """Features of a class are the same on both sides; only the classes' shares differ."""

    def side(share):
        y = (rng.random(1500) < share).astype(int)
        return rng.normal(size=(1500, 2)) + 3 * y[:, None], y

    (z_p, y_p), (z_q, y_q) = side(0.8), side(0.2)
    found = measure_shift(z_p, y_p, z_q, y_q, points=1500)
    assert max(found.plus.diversity, found.plus.correlation) < 0.015
    assert found.n == sum(min((y_p == c).sum(), (y_q == c).sum()) for c in (0, 1))


def test_balancing_keeps_equally_many_of_each_class_that_both_have(rng):
    y_p, y_q = np.array([0, 0, 0, 1, 2]), np.array([1, 1, 0, 0, 3])
    p, q = balanced(y_p, y_q, rng)
    assert y_p[p].tolist() == y_q[q].tolist() == [0, 0, 1]


def test_the_same_seed_gives_the_same_numbers(rng):
    sides = *spurious(rng, 200, 0.9), *spurious(rng, 200, 0.5)
    assert measure_shift(*sides, points=200) == measure_shift(*sides, points=200)
    assert measure_shift(*sides, points=200) != measure_shift(*sides, points=200, seed=1)


def test_a_class_with_too_few_examples_is_told(rng):
    z, y = spurious(rng, 300, 0.9, d=8)
    y[:3] = 2
    found = measure_shift(z, y, z[::-1], y[::-1], points=300)
    assert found.skipped == (2,)
    table = shift_table("Mine", "0", [found])
    assert set(table["skipped"]) == {"2"}


def test_what_cannot_be_measured_is_refused(rng):
    z, y = spurious(rng, 100, 0.9)
    with pytest.raises(RequestError, match=r"share no class: P has the labels 0, 1, Q 5, 6"):
        measure_shift(z, y, z, y + 5)
    with pytest.raises(RequestError, match=r"Side Q needs finite features.*\(100, 2\) and \(99,\)"):
        measure_shift(z, y, z, y[1:])
    with pytest.raises(RequestError, match="Side P needs finite"):
        measure_shift(np.where(z > 0, np.nan, z), y, z, y)
    double = np.hstack([z, z])
    with pytest.raises(RequestError, match=r"4 features of \d+ examples have no density"):
        measure_shift(double, y, double, y)


def test_the_class_is_that_of_the_larger_shift_unless_trials_disagree(rng):
    correlated = measure_shift(*spurious(rng, 200, 1.0), *spurious(rng, 200, 0.0), points=200)
    apart = measure_shift(
        *spurious(rng, 200, 1.0),
        spurious(rng, 200, 1.0)[0] + 40,
        rng.integers(0, 2, 200),
        points=200,
    )
    assert shift_class([correlated, correlated]) == "correlation"
    assert shift_class([apart, apart]) == "diversity"
    assert shift_class([apart, correlated]) == "unclear"
    with pytest.raises(RequestError, match="at least 1 measured trial"):
        shift_class([])


def test_the_table_has_means_and_deviations_over_trials(rng):
    trials = [
        measure_shift(*spurious(rng, 200, 0.9), *spurious(rng, 250, 0.5), points=200, seed=seed)
        for seed in range(3)
    ]
    table = shift_table("Mine", "2", trials).set_index("variant")
    values = [trial.legacy.correlation for trial in trials]
    assert table.loc["legacy", "correlation"] == pytest.approx(np.mean(values))
    assert table.loc["legacy", "correlation_std"] == pytest.approx(np.std(values, ddof=1))
    assert table["n"].tolist() == [min(trial.n for trial in trials)] * 2
    assert table["trials"].tolist() == [3, 3]
    assert np.isnan(shift_table("Mine", "2", trials[:1])["correlation_std"]).all()
