"""Natural cubic splines by their values at knots (Green & Silverman 1994, chapter 2)."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.interpolate import CubicSpline

from .intervals import Array

NORMAL = ((0.0, 2 / 3), (-(3**0.5), 1 / 6), (3**0.5, 1 / 6))
"""Places and weights of Gauss and Hermite: the mean over a standard normal distribution. With two
places there would be waves that they do not see."""


def natural_basis(knots: Array, spread: Array | None = None) -> Callable[[Array], Array]:
    """K splines through K knots, of which the j-th is 1 at knot j and 0 at all others.

    They are straight beyond the outer knots.

    Args:
        knots: (K,), ascending, K at least 3.
        spread: (n,): their means over normal distributions of x, with these standard deviations.

    Returns:
        A function of x (..., n) to (..., n, K).
    """
    values = np.linalg.inv(_powers(knots, knots))  # of powers, to values at the knots

    def basis(x: Array) -> Array:
        return np.swapaxes(values @ averaged(partial(_powers, knots), x, spread), -1, -2)

    return basis


def averaged(curve: Callable[[Array], Array], x: Array, spread: Array | None) -> Array:
    """The mean of a curve over normal distributions of x.

    Args:
        curve: A function of x (..., n) to (..., n).
        x: (..., n): the means of x.
        spread: (n,) standard deviations. Default: x is exact.
    """
    if spread is None:
        return curve(x)
    total, *others = (curve(x + place * spread) * weight for place, weight in NORMAL)
    for other in others:
        total += other
    return total


def roughness(knots: Array) -> Array:
    """(K, K): the quadratic form of the integral of the squared second derivative.

    Args:
        knots: (K,), ascending.
    """
    second, gaps = natural_spline(knots, np.eye(len(knots)))(knots, 2), np.diff(knots)
    # Between knots the second derivative is a line.
    between = np.zeros((len(knots), len(knots)))
    i = np.arange(len(gaps))
    between[i, i] += gaps / 3
    between[i + 1, i + 1] += gaps / 3
    between[i, i + 1] = between[i + 1, i] = gaps / 6
    return np.asarray(second.T @ between @ second)


def natural_spline(knots: Array, values: Array) -> CubicSpline:
    """The natural spline through ``values``, (K, ...), between the knots, with its derivatives."""
    return CubicSpline(knots, values, bc_type="natural")


def _powers(knots: Array, x: Array) -> Array:
    """(..., K, n) of x (..., n): a line, and cubes that start at a knot and end straight.

    Harrell (2015), section 2.4.5. Slices of one array in place take a third of the time of
    evaluating piece by piece.
    """
    span = knots[-1] - knots[0]
    u, places = (x - knots[0]) / span, (knots - knots[0]) / span
    powers = np.empty((*x.shape[:-1], len(knots), x.shape[-1]))
    powers[..., 0, :], powers[..., 1, :] = 1, u
    last, end = _cube(u - places[-2]), _cube(u - places[-1])
    gap = places[-1] - places[-2]
    last /= gap
    end /= gap
    for j, place in enumerate(places[:-2]):
        tail = last * (places[-1] - place) - end * (places[-2] - place)
        np.subtract(_cube(u - place), tail, out=powers[..., j + 2, :])
    return powers


def _cube(u: Array) -> Array:
    np.maximum(u, 0, out=u)
    cubed: Array = u * u
    cubed *= u
    return cubed
