"""A smooth curve through points, with as many knots as they ask for, fitted to every resample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from oodbench.errors import RequestError

from .intervals import Array, Estimate, from_error
from .testing import p_value

CENTRAL = (5, 95)
"""Percentiles of x at the outer knots; beyond them a curve is a straight line."""

FEWEST = 5
"""Fewer clusters, or different x, have no curve."""

FEWEST_KNOTS, MOST_KNOTS = 3, 20
"""Three knots, so that a bend is never ruled out beforehand."""

CONFIGURATIONS_PER_KNOT = 8

PATIENCE = 5
"""More knots are tried until so many numbers of them have been no better."""

BINS = 10
"""Bins of x, with equally many points, in which residuals show a lack of fit."""

NEGLIGIBLE = 0.002
"""A curve fits if no bin's mean residual is larger, however sure that is: two tenths of a point."""

BLOCK = 50
"""Resamples at once."""

RIDGE = 1e-4
"""Ridge penalty, as a share of a basis function's mean square. A resample that holds next to no
points at a knot keeps there what was fitted to all of them."""


@dataclass(frozen=True)
class Smooth:
    """A restricted cubic spline (Harrell 2015, section 2.4.5), fitted by least squares.

    It is cubic between its knots, straight beyond the outer two, and twice continuously
    differentiable.

    Attributes:
        knots: (K,), ascending.
        coefficients: (1 + resamples, K); the first row is the fit to the points as they are.
        clusters: Number of independent groups of points.
        resamples: How many of the resamples are of these groups; see ``error_of``.
    """

    knots: Array
    coefficients: Array
    clusters: int
    resamples: int

    @property
    def freedom(self) -> int:
        """Degrees of freedom of what is estimated from it."""
        return self.clusters - len(self.knots)

    def at(self, x: ArrayLike) -> Array:
        """The curve of every resample at ``x``: (P,) or, by resample, (1 + resamples, P).

        Returns:
            (1 + resamples, P).
        """
        x = np.asarray(x, dtype=float)
        if x.ndim == 1:
            return np.asarray(self.coefficients @ _basis(x, self.knots))
        parts = [
            self.coefficients[rows, None, :] @ _basis(x[rows], self.knots)
            for rows in _blocks(len(x))
        ]
        return np.concatenate(parts)[:, 0, :]

    def estimate(self, values: Array) -> Estimate:
        """What ``values`` (1 + resamples,) of this curve come to; see ``estimated``."""
        return estimated(values, self.clusters, len(self.knots), self.resamples)[0]

    def error(self, values: Array) -> Array:
        """Standard errors (...) of ``values`` (1 + resamples, ...) of this curve."""
        return error_of(values, self.clusters, len(self.knots), self.resamples)


def fit_smooth(
    x: Array, y: Array, weights: Array, clusters: int, resamples: int
) -> tuple[Smooth, Array]:
    """Fit the curve to the points and to every resample.

    The number of knots is the one with the smallest AICc, and one more: what a curve with too few
    knots is off by is then small beside its error. Knots stand half-way between even places and
    even shares of the points, so that neither a crowd nor a gap takes them all.

    Args:
        x, y: (1 + resamples, n), or (1, n) where all resamples have the same; finite.
        weights: (1 + resamples, n): how often each point is there. The first row is of the points
            as they are.
        clusters: Number of independent groups of points.
        resamples: How many of the resamples are of these groups; see ``error_of``.

    Returns:
        The curve, and its (1 + resamples, n) values at the points.

    Raises:
        RequestError: Fewer clusters or different x than a curve needs.
    """
    different = len(np.unique(x[0]))
    if min(clusters, different) < FEWEST:
        raise RequestError(
            f"A curve needs at least {FEWEST} configurations at different ID accuracies, "
            f"but there are {clusters} configurations and {different} different accuracies. "
            "Train more."
        )
    most = min(MOST_KNOTS, max(FEWEST_KNOTS, clusters // CONFIGURATIONS_PER_KNOT), different - 1)
    knots = _knots(x[0], _number_of_knots(x[0], y[0], range(FEWEST_KNOTS, most + 1), clusters))
    if not _full_rank(x[0], knots):
        raise RequestError("A curve needs ID accuracies that differ between its outer knots.")
    coefficients, fitted = _fit(x, y, weights, knots)
    return Smooth(knots, coefficients, clusters, resamples), fitted


def lack_of_fit(curve: Smooth, fitted: Array, x: Array, y: Array, weights: Array) -> float:
    """The p-value of the test that the curve is the mean of y at every x; 1 where it nearly is.

    In each of ``BINS`` bins of x the mean residual is divided by its bootstrap error. The sum of
    their squares is compared with what it is in resamples around the residuals of the points.

    Args:
        curve, fitted: The result of ``fit_smooth``.
        x, y, weights: See ``fit_smooth``.
    """
    edges = np.quantile(x[0], np.linspace(0, 1, BINS + 1)[1:-1])
    inside = np.eye(BINS)[np.searchsorted(edges, x[0])]
    inside = inside[:, inside.any(axis=0)]
    rows = slice(1 + curve.resamples)
    y, fitted, weights = y[rows], fitted[rows], weights[rows]
    mean = ((weights * (y - fitted)) @ inside) / np.maximum(weights @ inside, 1e-9)
    if np.abs(mean[0]).max() <= NEGLIGIBLE:
        return 1.0
    error = np.maximum(np.std(mean[1:], axis=0, ddof=1), 1e-12)
    found = float(((mean[0] / error) ** 2).sum())
    wider = curve.clusters / max(curve.freedom, 1)
    by_chance = wider * (((mean[1:] - mean[0]) / error) ** 2).sum(axis=1)
    return float(np.mean(by_chance >= found))


def error_of(values: Array, clusters: int, parameters: int, resamples: int) -> Array:
    """The standard errors of numbers from their resamples.

    The variance is that over resampled draws, times G / (G - K) for G clusters and K parameters,
    because residuals of a fit are smaller than the errors; and, where examples are resampled too,
    that over examples less that of single answers, which both hold (``runs.resampling``).

    Args:
        values: (1 + resamples, ...); then perhaps resamples of examples and, as many, of answers.
            The first are the estimates.
        clusters, parameters: G and K.
        resamples: Resamples of the draws.
    """
    draws, rest = values[1 : 1 + resamples], values[1 + resamples :]
    variance = np.var(draws, axis=0, ddof=1) * clusters / max(clusters - parameters, 1)
    if len(rest):
        examples, answers = (np.var(half, axis=0, ddof=1) for half in np.split(rest, 2))
        variance = variance + np.maximum(examples - answers, 0)
    return np.asarray(np.sqrt(variance))


def estimated(
    values: Array, clusters: int, parameters: int, resamples: int
) -> tuple[Estimate, float]:
    """A number with Student's t intervals from its resamples, and the p-value that it is 0.

    Args:
        values, clusters, parameters, resamples: See ``error_of``.
    """
    error = float(error_of(values, clusters, parameters, resamples))
    value, freedom = float(values[0]), clusters - parameters
    return from_error(value, error, freedom), p_value(value, error, freedom)


def _knots(x: Array, number: int) -> Array:
    shares = np.percentile(x, np.linspace(*CENTRAL, number))
    placed: Array = (shares + np.linspace(shares[0], shares[-1], number)) / 2
    return placed


def _basis(x: Array, knots: Array) -> Array:
    """(..., K, P) of x (..., P): Harrell's, with x from 0 to 1 between the outer knots."""
    span = knots[-1] - knots[0]
    u, places = (x - knots[0]) / span, (knots - knots[0]) / span
    basis = np.empty((*x.shape[:-1], len(knots), x.shape[-1]))
    basis[..., 0, :], basis[..., 1, :] = 1, u
    last, end = _cube(u - places[-2]), _cube(u - places[-1])
    gap = places[-1] - places[-2]
    last /= gap
    end /= gap
    for j, place in enumerate(places[:-2]):
        tail = last * (places[-1] - place) - end * (places[-2] - place)
        np.subtract(_cube(u - place), tail, out=basis[..., j + 2, :])
    return basis


def _cube(u: Array) -> Array:
    np.maximum(u, 0, out=u)
    cubed: Array = u * u
    cubed *= u
    return cubed


def _number_of_knots(x: Array, y: Array, numbers: range, clusters: int) -> int:
    """The one with the smallest AICc, and one more."""
    scores: dict[int, float] = {}
    best = numbers[0]
    for number in numbers:
        scores[number] = _aicc(x, y, _knots(x, number), clusters)
        best = min(scores, key=lambda k: scores[k])
        if number - best >= PATIENCE:
            break
    return best + 1 if np.isfinite(scores.get(best + 1, np.inf)) else best


def _aicc(x: Array, y: Array, knots: Array, clusters: int) -> float:
    """Akaike's criterion for few points (Hurvich & Tsai 1989); infinite where knots coincide."""
    k = len(knots)
    if clusters <= k + 1 or not _full_rank(x, knots):
        return np.inf
    basis = np.linalg.qr(_basis(x, knots).T)[0]
    rest = y - basis @ (basis.T @ y)
    # A fit without error is as good as another.
    variance = max(float(np.mean(rest**2)), 1e-12 * float(np.var(y)) + 1e-300)
    return float(clusters * np.log(variance) + 2 * k + 2 * k * (k + 1) / (clusters - k - 1))


def _full_rank(x: Array, knots: Array) -> bool:
    if not knots[0] < knots[-1]:
        return False
    diagonal = np.abs(np.diag(np.linalg.qr(_basis(x, knots).T, mode="r")))
    return bool(diagonal.min() > 1e-9 * diagonal.max())


def _blocks(resamples: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, resamples, BLOCK)]


def _fit(x: Array, y: Array, weights: Array, knots: Array) -> tuple[Array, Array]:
    """Coefficients (1 + resamples, K) and the curve at the points (1 + resamples, n)."""
    # Solved in a basis that is orthonormal over the points: every resample is then well scaled.
    orthonormal, triangle = np.linalg.qr(_basis(x[0], knots).T)
    scaling = np.linalg.inv(triangle)
    first = scaling @ (orthonormal.T @ y[0])

    def solve(gram: Array, moment: Array) -> Array:
        """The fit to each resample: that to the points, and a correction of it."""
        scaled = scaling.T @ gram @ scaling + RIDGE * np.eye(len(knots))
        correction = (scaling @ np.linalg.solve(scaled, scaling.T @ moment))[..., 0]
        return np.asarray(first + correction)

    if len(x) == 1:
        basis = _basis(x[0], knots)
        products = (basis[:, None, :] * basis[None, :, :]).reshape(-1, x.shape[1])
        gram = (weights @ products.T).reshape(-1, len(knots), len(knots))
        found = solve(gram, ((weights * (y - first @ basis)) @ basis.T)[..., None])
        return found, found @ basis
    y = np.broadcast_to(y, weights.shape)
    coefficients, fitted = [], []
    for rows in _blocks(len(x)):
        basis = _basis(x[rows], knots)
        weighed = basis * weights[rows, None, :]
        rest = y[rows] - first @ basis
        found = solve(weighed @ np.swapaxes(basis, 1, 2), weighed @ rest[..., None])
        coefficients.append(found)
        fitted.append((found[:, None, :] @ basis)[:, 0, :])
    return np.concatenate(coefficients), np.concatenate(fitted)
