"""Lines through points on three axes, against numpy, scipy and hand-made ones."""

import numpy as np
import pytest
from scipy import stats

from analysis import fit_line
from analysis.curves.axes import AXES, on_axis
from oodbench.errors import RequestError, UnknownNameError

RNG = np.random.default_rng(0)
X = RNG.uniform(0.2, 0.9, 200)
Y = np.clip(0.7 * X + RNG.normal(0, 0.05, 200), 0.01, 0.99)
PLACES = {"accuracy": lambda p: p, "logit": lambda p: np.log(p / (1 - p)), "probit": stats.norm.ppf}


@pytest.mark.parametrize("axis", AXES)
def test_a_line_is_that_of_least_squares(axis: str) -> None:
    x, y = PLACES[axis](X), PLACES[axis](Y)
    line = fit_line(X, Y, axis)
    expected = stats.linregress(x, y)
    assert line.slope == pytest.approx(expected.slope, abs=1e-10)
    assert line.intercept == pytest.approx(expected.intercept, abs=1e-10)
    assert line.r2 == pytest.approx(expected.rvalue**2, abs=1e-10)
    assert (line.n, line.left_out) == (200, 0)


def test_a_straight_line_is_found_exactly() -> None:
    line = fit_line([0.1, 0.5, 0.9], [0.2, 0.4, 0.6])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((0.5, 0.15, 1.0))


def test_ends_of_the_scale_are_drawn_in_only_where_n_is_known() -> None:
    placed = on_axis([0.0, 1.0, 0.5, 0.0], "logit", [9, 9, 9, np.nan])
    np.testing.assert_allclose(placed[:3], [np.log(0.05 / 0.95), np.log(0.95 / 0.05), 0])
    assert np.isnan(placed[3])
    line = fit_line([0.0, 0.3, 0.6, 0.9], [0.1, 0.2, 0.3, 0.4], "probit")
    assert (line.n, line.left_out) == (3, 1)


def test_too_few_points_have_no_line() -> None:
    for x, y in (([0.1, 0.2], [0.1, 0.2]), ([0.5, 0.5, 0.5], [0.1, 0.2, 0.3])):
        assert np.isnan(fit_line(x, y).slope)
    flat = fit_line([0.1, 0.2, 0.3], [0.5, 0.5, 0.5])
    assert flat.slope == pytest.approx(0, abs=1e-12)
    assert np.isnan(flat.r2)


def test_what_is_no_line_is_refused() -> None:
    with pytest.raises(RequestError, match="two lists of one length"):
        fit_line([0.1, 0.2], [0.1])
    with pytest.raises(UnknownNameError, match="unknown axis 'log'"):
        fit_line([0.1], [0.1], "log")
