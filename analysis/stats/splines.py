"""Natural cubic splines by their values at knots (Green & Silverman 1994, chapter 2)."""

import numpy as np
from scipy.interpolate import CubicSpline, PPoly

from .intervals import Array


def natural_basis(knots: Array) -> PPoly:
    """K splines through K knots, of which the j-th is 1 at knot j and 0 at all others.

    They are straight beyond the outer knots.

    Args:
        knots: (K,), ascending.

    Returns:
        A function of x (...), and perhaps of a derivative's number, to (..., K).
    """
    inside = _cardinal(knots)
    ends = knots[[0, -1]]
    values, slopes = inside(ends), inside(ends, 1)
    # Pieces of length 1 before and after, which PPoly extends: coefficients of u³, u², u and 1.
    beyond = np.zeros((4, 2, len(knots)))
    beyond[2], beyond[3] = slopes, values
    beyond[3, 0] -= slopes[0]
    pieces = np.concatenate([beyond[:, :1], inside.c, beyond[:, 1:]], axis=1)
    return PPoly(pieces, np.array([ends[0] - 1, *knots, ends[1] + 1]))


def roughness(knots: Array) -> Array:
    """(K, K): the quadratic form of the integral of the squared second derivative.

    Args:
        knots: (K,), ascending.
    """
    second, gaps = _cardinal(knots)(knots, 2), np.diff(knots)
    # Between knots the second derivative is a line.
    between = np.zeros((len(knots), len(knots)))
    i = np.arange(len(gaps))
    between[i, i] += gaps / 3
    between[i + 1, i + 1] += gaps / 3
    between[i, i + 1] = between[i + 1, i] = gaps / 6
    return np.asarray(second.T @ between @ second)


def _cardinal(knots: Array) -> CubicSpline:
    return CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
