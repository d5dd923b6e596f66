"""One smooth curve of four degrees of freedom through a cloud of points, with its bootstrap."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from oodbench.errors import RequestError

from .intervals import Array, Estimate, codes_of, from_error, resampled

PERCENTILES = (17, 83)
"""Of x: the middles of its lower and of its upper third."""

PARAMETERS = 4
"""Intercept, slope, curvature below the median of x and above it."""


@dataclass(frozen=True)
class Smooth:
    """A quadratic spline with one knot at the median of x, fitted by least squares.

    Its slope is continuous and piecewise linear: it may change at one rate in the lower half of
    the points and at another in the upper. Lines and parabolas are fitted without bias whatever
    the distribution of x; a knot at the median keeps a thin tail of x from deciding the rest.

    Attributes:
        centre, scale, knot: x enters as ``(x - centre) / scale``, the knot in these units.
        low, high: Smallest and largest x; nothing is predicted beyond.
        coefficients: (4,).
        draws: (resamples, 4), of the cluster bootstrap; resamples that cannot be fitted are left
            out.
        percentiles: Of x, (2,): those of ``PERCENTILES``.
        percentile_draws: (resamples, 2): the same of each resample.
        clusters: Number of clusters.
    """

    centre: float
    scale: float
    knot: float
    low: float
    high: float
    coefficients: Array
    draws: Array
    percentiles: Array
    percentile_draws: Array
    clusters: int

    def basis(self, x: ArrayLike) -> Array:
        """(len(x), 4)."""
        u = (np.asarray(x, dtype=float) - self.centre) / self.scale
        return np.stack([np.ones_like(u), u, u**2, np.clip(u - self.knot, 0, None) ** 2], axis=-1)

    def slope_basis(self, x: ArrayLike) -> Array:
        """(len(x), 4): its derivative."""
        u = (np.asarray(x, dtype=float) - self.centre) / self.scale
        parts = [np.zeros_like(u), np.ones_like(u), 2 * u, 2 * np.clip(u - self.knot, 0, None)]
        return np.stack(parts, axis=-1) / self.scale

    def at(self, x: ArrayLike) -> Array:
        """The curve, of x's shape."""
        value: Array = self.basis(x) @ self.coefficients
        return value

    def error_of(self, contrast: Array) -> Array:
        """Standard errors of ``contrast @ coefficients`` for contrasts (..., 4).

        That of the bootstrap, times sqrt(G / (G - 4)) for G clusters: residuals of a fit are
        smaller than the errors.
        """
        return self._error(self.draws @ contrast.T)

    def _error(self, draws: Array) -> Array:
        spread = np.std(draws, axis=0, ddof=1)
        value: Array = spread * np.sqrt(self.clusters / max(self.clusters - PARAMETERS, 1))
        return value

    def between(self, contrast: Callable[[Array], Array]) -> Estimate:
        """What ``contrast`` makes of the curve between the two percentiles, with t intervals.

        The percentiles are those of each resample: they are estimated, too.

        Args:
            contrast: Takes percentiles (..., 2) to contrasts (..., 4).
        """
        value = float(contrast(self.percentiles) @ self.coefficients)
        draws = (contrast(self.percentile_draws) * self.draws).sum(axis=-1)
        return from_error(value, float(self._error(draws)), self.clusters - PARAMETERS)


def fit_smooth(
    x: ArrayLike, y: ArrayLike, *, clusters: Any = None, resamples: int = 2000, seed: int = 0
) -> Smooth:
    """Fit the curve and resample it.

    Args:
        x, y: (n,), finite.
        clusters: Label of each point; whole clusters are resampled. Without, each point is one.
        resamples: Of the bootstrap.
        seed: Decides the resamples.

    Raises:
        RequestError: Fewer than five clusters or five different x: no curve can be fitted.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    codes = codes_of(clusters, len(x))
    groups, different = len(np.unique(codes)), len(np.unique(x))
    if min(groups, different) <= PARAMETERS:
        raise RequestError(
            f"A curve needs at least {PARAMETERS + 1} configurations at different ID accuracies, "
            f"but there are {groups} configurations and {different} different accuracies. "
            "Train more."
        )
    centre, scale = float(np.mean(x)), float(np.std(x))
    knot = (float(np.median(x)) - centre) / scale
    ends = float(x.min()), float(x.max())
    empty = np.zeros((0, PARAMETERS))
    middle = np.percentile(x, PERCENTILES)
    frame = Smooth(centre, scale, knot, *ends, np.zeros(PARAMETERS), empty, middle, empty, groups)
    basis = frame.basis(x)
    if np.linalg.matrix_rank(basis) < PARAMETERS:
        raise RequestError("A curve needs different ID accuracies on both sides of their median.")
    weights = resampled(codes, resamples, np.random.default_rng(seed))
    draws, percentiles = _bootstrap(x, y, basis, weights)
    coefficients = np.linalg.lstsq(basis, y, rcond=None)[0]
    return replace(frame, coefficients=coefficients, draws=draws, percentile_draws=percentiles)


def _bootstrap(x: Array, y: Array, basis: Array, resamples: Iterable[Array]) -> tuple[Array, Array]:
    """Coefficients and percentiles of x in each resample, (resamples, 4) and (resamples, 2)."""
    # Solved in a basis that is orthonormal over all points: every resample is then well scaled.
    q, r = np.linalg.qr(basis)
    products = (q[:, :, None] * q[:, None, :]).reshape(len(x), -1)
    moments = q * y[:, None]
    order = np.argsort(x)
    draws, percentiles = [], []
    for weights in resamples:
        gram = (weights @ products).reshape(-1, PARAMETERS, PARAMETERS)
        sound = np.linalg.eigvalsh(gram)[:, 0] > 1e-9  # of 1, were all points drawn once
        draws.append(np.linalg.solve(gram[sound], (weights @ moments)[sound][..., None])[..., 0])
        up_to = np.cumsum(weights[sound][:, order], axis=1)
        shares = up_to / up_to[:, -1:]
        at = [(shares >= percentile / 100).argmax(axis=1) for percentile in PERCENTILES]
        percentiles.append(x[order][np.stack(at, axis=-1)])
    in_basis: Array = np.linalg.solve(r, np.concatenate(draws).T).T
    return in_basis, np.concatenate(percentiles)
