"""A smooth curve through points, as rough as they ask for, fitted to every resample."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh

from oodbench.errors import RequestError

from .intervals import Array, Estimate, from_error
from .splines import natural_basis, natural_spline, roughness
from .testing import p_value

CENTRAL = (5, 95)
"""Percentiles of x at the outer knots; beyond them a curve is a straight line."""

FEWEST = 5
"""Fewer clusters, or different x, have no curve."""

FEWEST_KNOTS, MOST_KNOTS = 3, 16

CONFIGURATIONS_PER_KNOT = 4

FEWEST_PARAMETERS = 4.0
"""Two more than a line has, so that a bend is never ruled out beforehand."""

PENALTIES = np.geomspace(1e-8, 1e10, 150)
"""Strengths of the penalty that are tried, relative to what the points say of the curve."""

BINS = 10
"""Bins of x, with equally many points, in which residuals show a lack of fit."""

NEGLIGIBLE = 0.002
"""A curve fits if no bin's mean residual is larger, however sure that is: two tenths of a point."""

BLOCK = 20
"""Resamples at once: few, so that their arrays fit a cache."""

RIDGE = 1e-4
"""Ridge penalty, as a share of what the points say. A resample that holds next to no points at a
knot keeps there what was fitted to all of them."""


@dataclass(frozen=True)
class Smooth:
    """A natural cubic spline, fitted by penalised least squares.

    It is cubic between its knots, straight beyond the outer two, and twice continuously
    differentiable.

    Attributes:
        knots: (K,), ascending.
        coefficients: (1 + resamples, K), the values at the knots. The first row is the fit to the
            points as they are. Those of resampled groups include by how much the penalty may be
            off; see ``fit_smooth``.
        parameters: Effective number of parameters: the trace of the smoother, 2 to K.
        clusters: Number of independent groups of points.
        resamples: How many of the resamples are of these groups; see ``error_of``.
    """

    knots: Array
    coefficients: Array
    parameters: float
    clusters: int
    resamples: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom of what is estimated from it."""
        return self.clusters - self.parameters

    def at(self, x: ArrayLike) -> Array:
        """The curve of every resample at ``x``: (P,) or, by resample, (1 + resamples, P).

        Returns:
            (1 + resamples, P).
        """
        x, basis = np.asarray(x, dtype=float), natural_basis(self.knots)
        if x.ndim == 1:
            return np.asarray(self.coefficients @ basis(x).T)
        parts = [basis(x[rows]) @ self.coefficients[rows, :, None] for rows in _blocks(len(x))]
        return np.concatenate(parts)[..., 0]

    def slopes(self, x: Array) -> Array:
        """(P,) slopes of the fit to the points as they are."""
        inside = np.clip(x, self.knots[0], self.knots[-1])
        return np.asarray(natural_spline(self.knots, self.coefficients[0])(inside, 1))

    def estimate(self, values: Array) -> Estimate:
        """What ``values`` (1 + resamples,) of this curve come to; see ``estimated``."""
        return estimated(values, self.clusters, self.parameters, self.resamples)[0]

    def error(self, values: Array) -> Array:
        """Standard errors (...) of ``values`` (1 + resamples, ...) of this curve."""
        return error_of(values, self.clusters, self.parameters, self.resamples)


def fit_smooth(
    x: Array,
    y: Array,
    weights: Array,
    clusters: int,
    resamples: int,
    spread: Array | None = None,
) -> tuple[Smooth, Array]:
    """Fit the curve to the points and to every resample.

    The sum of squared residuals, plus a penalty times the integral of the squared second
    derivative, is smallest. Restricted maximum likelihood chooses the penalty from the points (Wood
    2017, section 6.2), and the resamples keep it. A penalised curve is a little too straight where
    the truth bends. The likely size of that error has a covariance: the Bayesian covariance of the
    curve minus the covariance of its sampling errors (Nychka 1988; Marra and Wood 2012). The curves
    of resampled groups are moved by draws from it, so that intervals that rest on them cover it.

    Knots stand half-way between even places and even shares of the points, so that neither a crowd
    nor a gap takes them all.

    Args:
        x, y: (1 + resamples, n), or (1, n) where all resamples have the same; finite.
        weights: (1 + resamples, n): how often each point is there. The first row is of the points
            as they are.
        clusters: Number of independent groups of points.
        resamples: How many of the resamples are of these groups; see ``error_of``.
        spread: (n,) standard deviation of the true x of each point, of which ``x`` is the mean.
            The curve is that of the true x: a point is expected at its mean over what the
            true x may be. Default: x is exact.

    Returns:
        The curve, and its (1 + resamples, n) expectations of y at the points.

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
    knots = _knots(x[0], min(MOST_KNOTS, max(FEWEST_KNOTS, clusters // CONFIGURATIONS_PER_KNOT)))
    if not knots[0] < knots[-1]:
        raise RequestError("A curve needs ID accuracies that differ between its outer knots.")
    basis = natural_basis(knots, spread)
    penalised = _penalise(basis(x[0]), roughness(knots), x[0], y[0], clusters)
    # Other points draw other numbers, and the same points always the same.
    rng = np.random.default_rng(np.round(1e6 * y[0]).astype(np.int64).view(np.uint64))
    moved = np.zeros((len(weights), len(knots)))
    moved[1 : 1 + resamples] = rng.standard_normal((resamples, len(knots))) * penalised.bias
    coefficients, fitted = _fit(x, y, weights, basis, penalised, moved @ penalised.directions.T)
    return Smooth(knots, coefficients, penalised.parameters, clusters, resamples), fitted


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


def error_of(values: Array, clusters: float, parameters: float, resamples: int) -> Array:
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
    values: Array, clusters: float, parameters: float, resamples: int
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


@dataclass(frozen=True)
class _Penalised:
    """The fit to the points, in directions that the points and the penalty see independently.

    Attributes:
        directions: (K, K): the columns are values at the knots.
        seen, penalty: (K,): how much the points say of each direction, and how much the penalty.
        values: (K,): how far the fit goes in each.
        bias: (K,): standard deviation of what the penalty is off by in each.
    """

    directions: Array
    seen: Array
    penalty: Array
    values: Array
    bias: Array

    @property
    def parameters(self) -> float:
        return float((self.seen / (self.seen + self.penalty)).sum())


def _penalise(basis: Array, rough: Array, x: Array, y: Array, clusters: int) -> _Penalised:
    """The penalty that restricted maximum likelihood finds in the points.

    A line is not penalised: the first two directions.
    """
    gram = basis.T @ basis
    rough = rough * np.trace(gram) / np.trace(rough)
    unseen, directions = eigh(rough, gram + rough)
    unseen[:2] = 0
    unseen = np.clip(unseen, 0, 1)
    seen = 1 - unseen
    line = np.polynomial.Polynomial.fit(x, y, 1)
    # The line is not penalised. With it, sums of squares would lose small residuals to rounding.
    rest = y - line(x)
    moment = directions.T @ (basis.T @ rest)
    total = seen + PENALTIES[:, None] * unseen
    # A fit without error is as good as another.
    noise = np.maximum(rest @ rest - (moment**2 / total).sum(axis=1), 1e-12 * (y @ y) + 1e-300)
    log_penalty = (len(seen) - 2) * np.log(PENALTIES)
    score = (clusters - 2) * np.log(noise) + np.log(total).sum(axis=1) - log_penalty
    parameters = (seen / total).sum(axis=1)
    score[parameters < min(FEWEST_PARAMETERS, parameters[0])] = np.inf
    best = int(np.argmin(score))
    penalty = PENALTIES[best] * unseen
    variance = noise[best] / max(clusters - parameters[best], 1)
    values = (directions.T @ (basis.T @ y)) / total[best]
    bias = np.sqrt(variance * penalty) / total[best]
    return _Penalised(directions, seen, penalty, values, bias)


def _fit(
    x: Array,
    y: Array,
    weights: Array,
    basis_at: Callable[[Array], Array],
    penalised: _Penalised,
    moved: Array,
) -> tuple[Array, Array]:
    """Coefficients (1 + resamples, K), plus ``moved``, and the curve at the points."""
    directions, penalty = penalised.directions, penalised.penalty
    first = directions @ penalised.values
    kept = np.diag(penalty + RIDGE * penalised.seen)

    def solve(gram: Array, moment: Array) -> Array:
        """The fit to each resample: that to the points, and a correction of it."""
        short = moment @ directions - penalty * penalised.values
        correction = np.linalg.solve(directions.T @ gram @ directions + kept, short[..., None])
        return np.asarray(first + correction[..., 0] @ directions.T)

    if len(x) == 1:
        basis = basis_at(x[0])
        products = (basis[:, :, None] * basis[:, None, :]).reshape(x.shape[1], -1)
        gram = (weights @ products).reshape(-1, len(first), len(first))
        found = solve(gram, (weights * (y - basis @ first)) @ basis) + moved
        return found, found @ basis.T
    y = np.broadcast_to(y, weights.shape)
    coefficients, fitted = [], []
    for rows in _blocks(len(x)):
        basis = basis_at(x[rows])
        rest = weights[rows] * (y[rows] - basis @ first)
        gram = np.swapaxes(basis * weights[rows, :, None], 1, 2) @ basis
        found = solve(gram, (rest[:, None, :] @ basis)[:, 0, :]) + moved[rows]
        coefficients.append(found)
        fitted.append((basis @ found[..., None])[..., 0])
    return np.concatenate(coefficients), np.concatenate(fitted)


def _blocks(resamples: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, resamples, BLOCK)]
