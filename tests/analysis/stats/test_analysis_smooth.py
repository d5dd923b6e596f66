"""Natural splines against their definition, penalised ones against a mixed model written out."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.special import stdtrit

from analysis.stats.smooth import PENALTIES, fit_smooth
from analysis.stats.splines import natural_basis, roughness

KNOTS = np.array([0.1, 0.25, 0.3, 0.55, 0.8])


def test_a_natural_basis_reproduces_lines_and_is_straight_beyond_its_knots() -> None:
    basis, x = natural_basis(KNOTS), np.linspace(-3, 4, 50)
    assert basis(KNOTS) == pytest.approx(np.eye(5))
    assert basis(x) @ (2 + 3 * KNOTS) == pytest.approx(2 + 3 * x)
    outside = x[(x < 0.1) | (x > 0.8)]
    assert basis(outside, 2) == pytest.approx(0, abs=1e-9)
    assert basis(np.array([0.1, 0.8]), 1) == pytest.approx(basis(np.array([0.05, 0.85]), 1))


def test_roughness_is_the_integral_of_the_squared_second_derivative() -> None:
    values = np.array([0.2, 0.5, 0.1, 0.9, 0.4])
    spline = CubicSpline(KNOTS, values, bc_type="natural")
    pieces = pairwise(KNOTS)
    integral = sum(quad(lambda u: spline(u, 2) ** 2, low, high)[0] for low, high in pieces)
    assert values @ roughness(KNOTS) @ values == pytest.approx(integral)
    assert roughness(KNOTS) @ (1 + 2 * KNOTS) == pytest.approx(0, abs=1e-8)


def resampled(n: int, rng: np.random.Generator, resamples: int = 200) -> np.ndarray:
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return np.concatenate([np.ones((1, n)), drawn])


def test_the_penalty_has_the_greatest_restricted_likelihood_of_a_mixed_model() -> None:
    """A spline is a line and a random function; here with covariance matrices, and by their
    determinants."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0.4, 0.9, 80))
    y = 0.3 + x**2 + 0.1 * np.sin(12 * x) + rng.normal(0, 0.02, 80)
    curve, fitted = fit_smooth(x[None], y[None], np.ones((3, 80)), 80, 2)
    basis, rough = natural_basis(curve.knots)(x), roughness(curve.knots)
    line = np.column_stack([np.ones(80), x])
    covariance = basis @ np.linalg.pinv(rough) @ basis.T  # of the function, up to its size

    def likelihood(strength: float) -> float:
        total = np.eye(80) + covariance / strength
        inverse = np.linalg.inv(total)
        among = line.T @ inverse @ line
        projection = inverse - inverse @ line @ np.linalg.solve(among, line.T @ inverse)
        determinants = np.linalg.slogdet(total)[1] + np.linalg.slogdet(among)[1]
        return float(-(78 * np.log(y @ projection @ y) + determinants) / 2)

    scale = np.trace(basis.T @ basis) / np.trace(rough)
    best = max(scale * PENALTIES, key=likelihood)
    smoother = basis @ np.linalg.solve(basis.T @ basis + best * rough, basis.T)
    assert np.trace(smoother) > 4  # the fewest that a curve has do not decide here
    assert curve.parameters == pytest.approx(np.trace(smoother))
    assert fitted[0] == pytest.approx(smoother @ y)


def test_bands_cover_random_functions_as_often_as_they_state() -> None:
    """Over the functions of the mixed model they cover on average (Nychka 1988)."""
    rng = np.random.default_rng(2)
    x = np.linspace(0.3, 0.9, 150)
    covered = []
    for _ in range(60):
        knots = np.linspace(0.3, 0.9, 12)
        size, directions = np.linalg.eigh(roughness(knots))
        wiggles = directions[:, 2:] @ (rng.standard_normal(10) / np.sqrt(size[2:]))
        true = 0.2 + 0.5 * x + 2 * natural_basis(knots)(x) @ wiggles
        y = true + rng.normal(0, 0.03, 150)
        curve, _ = fit_smooth(x[None], y[None], resampled(150, rng), 150, 200)
        values = curve.at(x)
        margin = stdtrit(curve.freedom, 0.975) * curve.error(values)
        covered.append(np.mean(np.abs(values[0] - true) <= margin))
    # 60 shares about .95 with a standard deviation of .08: an error of .01.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_what_is_not_known_of_x_does_not_blur_the_curve() -> None:
    """The mean of 4 x² where x has a standard deviation of .04 is 4 x² + .0064."""
    rng = np.random.default_rng(3)
    x = np.linspace(0.2, 0.8, 3000)
    y = 4 * x**2 + 0.0064 + rng.normal(0, 0.01, 3000)
    weights, inside = np.ones((3, 3000)), np.linspace(0.3, 0.7, 20)
    plain, _ = fit_smooth(x[None], y[None], weights, 3000, 2)
    assert plain.at(inside)[0] == pytest.approx(4 * inside**2 + 0.0064, abs=0.002)
    curve, fitted = fit_smooth(x[None], y[None], weights, 3000, 2, np.full(3000, 0.04))
    assert curve.at(inside)[0] == pytest.approx(4 * inside**2, abs=0.004)  # .0064 if blurred
    assert fitted[0, 500:2500] == pytest.approx(4 * x[500:2500] ** 2 + 0.0064, abs=0.002)


def test_slopes_are_those_of_the_curve() -> None:
    x = np.linspace(0.2, 0.8, 100)
    curve, _ = fit_smooth(x[None], (x**2)[None], np.ones((3, 100)), 100, 2)
    assert curve.at(np.array([0.4, 0.6]), 1)[0] == pytest.approx([0.8, 1.2], abs=0.01)
