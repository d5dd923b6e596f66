"""Densities of the features of two sides, of all their examples and of each class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from oodbench.errors import RequestError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Densities:
    """Densities at points that were drawn from ``pooled``.

    Attributes:
        p, q: (points,) densities of the two sides.
        p_of, q_of: (classes, points) densities of each class.
        weights: (classes,) share of each class.
        skipped: Labels of the classes with too few examples for a density.
    """

    p: Array
    q: Array
    p_of: Array
    q_of: Array
    weights: Array
    skipped: tuple[int, ...] = ()

    @property
    def pooled(self) -> Array:
        """(points,) the density of both sides together: (p + q) / 2."""
        return (self.p + self.q) / 2

    @property
    def lower(self) -> Array:
        """(points,) the smaller of p and q."""
        return np.minimum(self.p, self.q)


def estimate_densities(
    z: Array, y: Labels, is_q: Mask, points: int, rng: np.random.Generator
) -> Densities:
    """Gaussian kernel estimates with Scott's bandwidth, at points drawn from P and Q alike.

    Args:
        z: (n, d) features of both sides.
        y: (n,) labels; each class has equally many on both sides.
        is_q: (n,) which are of side Q.
        points: How many.
        rng: Decides the points.
    """
    sides = [_density(z[side]) for side in (~is_q, is_q)]
    halves = (points - points // 2, points // 2)
    at = np.hstack([side.resample(n, seed=rng) for side, n in zip(sides, halves, strict=True)])
    of_class, sizes, skipped = [], [], []
    for label in np.unique(y):
        try:
            pair = [_density(z[side & (y == label)])(at) for side in (~is_q, is_q)]
        except RequestError:  # counted and reported: see Shift.skipped
            skipped.append(int(label))
        else:
            of_class.append(pair)
            sizes.append(int((y == label).sum()))
    if not of_class:
        raise RequestError(
            "No class has enough examples for a density of its features. Measure more examples."
        )
    p_of, q_of = np.array(of_class).swapaxes(0, 1)
    p, q = (side(at) for side in sides)
    return Densities(p, q, p_of, q_of, np.array(sizes) / sum(sizes), tuple(skipped))


def _density(z: Array) -> gaussian_kde:
    try:
        return gaussian_kde(z.T)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise RequestError(
            f"The {z.shape[1]} features of {z.shape[0]} examples have no density: some follow from "
            "the others, as where there are too few examples. Give more examples, or leave out "
            "features that follow from others."
        ) from error
