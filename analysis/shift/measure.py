"""Diversity and correlation shift between two sets of labelled features.

Ye et al. 2022, *OoD-Bench* (CVPR), and its revision OoD-Bench+ (m-Just/OoD-Bench at 0c34a79). With
densities p and q of the features z in training and test, diversity shift is the part of their
difference where one of them (almost) vanishes, correlation shift the difference of p(y|z) and
q(y|z) where neither does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from oodbench.errors import RequestError

from ..stats.densities import Array, Densities, Labels, Mask, estimate_densities

VARIANTS = ("plus", "legacy")
"""``plus``: squared Hellinger distances, of which the two shifts are parts (the published code's
default). ``legacy``: total variation, as in the paper."""

TARGET = 0.0075
"""What calibration lets a shift be where there is none: the middle of the published range."""

FLOOR = 1e-3
"""Common support ends where p or q is below this part of the typical (median) pooled density."""


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that decide which points count.

    Attributes:
        diversity_below: For diversity those where p or q is at most this.
        correlation_above: For correlation those where both are above this.
    """

    diversity_below: float
    correlation_above: float


@dataclass(frozen=True)
class Shifts:
    """The two shifts in one variant, 0 (none) to 1, up to sampling error."""

    diversity: float
    correlation: float


@dataclass(frozen=True)
class Shift:
    """Both variants, and what they rest on.

    Attributes:
        plus, legacy: See ``VARIANTS``.
        iid_plus, iid_legacy: The same where there is no shift: of re-split examples.
        diversity_share, correlation_share: Share of the points that counted for each.
        thresholds: Which points those are.
        n: Examples on each side, after label shift was removed.
        points: Where the densities were compared.
        skipped: Labels left out of the correlation shift: too few examples for a density.
    """

    plus: Shifts
    legacy: Shifts
    iid_plus: Shifts
    iid_legacy: Shifts
    diversity_share: float
    correlation_share: float
    thresholds: Thresholds
    n: int
    points: int
    skipped: tuple[int, ...]


def measure_shift(
    z_p: ArrayLike,
    y_p: ArrayLike,
    z_q: ArrayLike,
    y_q: ArrayLike,
    *,
    seed: int = 0,
    points: int = 5_000,
) -> Shift:
    """Measure diversity and correlation shift from P (training) to Q (test), calibrated.

    Label shift is removed first: of each class, equally many examples are kept on either side. Both
    thresholds are set where a random re-split of the same examples, which has no shift, measures
    ``TARGET`` in the variant ``plus``. (The published code re-splits before it trains the
    classifier, so its densities are those of other features.) What does not count adds nothing: a
    shift that is the same everywhere is measured in proportion to the share of points that do.

    Args:
        z_p, z_q: (n, d) features; the two sides may differ in n.
        y_p, y_q: (n,) integer labels.
        seed: Seed of the draws and splits.
        points: Where the densities are compared.

    Raises:
        RequestError: Arrays that do not fit, no class on both sides, or features of which no
            density can be estimated.
    """
    rng = np.random.default_rng(seed)
    z_p, y_p = _checked("P", z_p, y_p)
    z_q, y_q = _checked("Q", z_q, y_q)
    keep_p, keep_q = balanced(y_p, y_q, rng)
    z, y = np.concatenate([z_p[keep_p], z_q[keep_q]]), np.concatenate([y_p[keep_p], y_q[keep_q]])
    is_q = np.repeat([False, True], len(keep_p))
    spread = z.std(0)
    z = (z - z.mean(0)) / np.where(spread > 0, spread, 1)
    measured = estimate_densities(z, y, is_q, points, rng)
    null = estimate_densities(z, y, resplit(y, is_q, rng), points, rng)
    return _compared(measured, null, n=len(keep_p), points=points)


def _compared(measured: Densities, null: Densities, *, n: int, points: int) -> Shift:
    thresholds = calibrate(null)
    return Shift(
        **{variant: estimate(measured, variant, thresholds) for variant in VARIANTS},
        **{f"iid_{variant}": estimate(null, variant, thresholds) for variant in VARIANTS},
        diversity_share=float((measured.lower <= thresholds.diversity_below).mean()),
        correlation_share=float((measured.lower > thresholds.correlation_above).mean()),
        thresholds=thresholds,
        n=n,
        points=points,
        skipped=measured.skipped,
    )


def balanced(y_p: Labels, y_q: Labels, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Indices of equally many examples of each class on either side, drawn at random.

    Raises:
        RequestError: If no class is on both sides.
    """
    kept = []
    for label in np.intersect1d(y_p, y_q):
        sides = [np.flatnonzero(y == label) for y in (y_p, y_q)]
        n = min(map(len, sides))
        kept.append([rng.choice(side, n, replace=False) for side in sides])
    if not kept:
        raise RequestError(
            f"The two sides share no class: P has the labels {_some(y_p)}, Q {_some(y_q)}. "
            "Give labels of one label set."
        )
    keep_p, keep_q = (np.concatenate(side) for side in zip(*kept, strict=True))
    return keep_p, keep_q


def resplit(y: Labels, is_q: Mask, rng: np.random.Generator) -> Mask:
    """The sides dealt anew at random within each class: what is left has no shift."""
    dealt = is_q.copy()
    for label in np.unique(y):
        dealt[y == label] = rng.permutation(dealt[y == label])
    return dealt


def estimate(d: Densities, variant: str, thresholds: Thresholds) -> Shifts:
    """The shifts by importance sampling, over the points that count."""
    apart = d.lower <= thresholds.diversity_below
    common = d.lower > thresholds.correlation_above
    n = len(d.pooled)
    return Shifts(
        float(diversity_terms(d, variant)[apart].sum() / n),
        float(correlation_terms(d, variant, common).sum() / n),
    )


def diversity_terms(d: Densities, variant: str) -> Array:
    """(points,) what each adds to the diversity shift where p or q vanishes."""
    return _difference(d.p, d.q, variant) / d.pooled / 2


def correlation_terms(d: Densities, variant: str, common: Mask) -> Array:
    """What each of the ``common`` points adds to the correlation shift.

    p_y sqrt(q/p) and q_y sqrt(p/q) are the joint densities with the same marginal, sqrt(p q).
    """
    odds = np.sqrt(d.q[common] / d.p[common])
    each = _difference(d.p_of[:, common] * odds, d.q_of[:, common] / odds, variant)
    terms: Array = d.weights @ each / d.pooled[common] / 2
    return terms


def calibrate(null: Densities) -> Thresholds:
    """The thresholds that count the most points while neither shift exceeds ``TARGET``.

    Args:
        null: Densities of two sides without a shift.
    """
    floor = FLOOR * float(np.median(null.pooled))
    rising = np.sort(null.lower)
    dense = null.lower > floor
    falling = np.argsort(null.lower[dense])[::-1]
    kept = _affordable(correlation_terms(null, "plus", dense)[falling], len(rising))
    above = float(null.lower[dense][falling[kept]]) if kept < len(falling) else floor
    kept = _affordable(diversity_terms(null, "plus")[np.argsort(null.lower)], len(rising))
    return Thresholds(min(above, float(rising[kept - 1])) if kept else 0.0, above)


def _affordable(terms: Array, points: int) -> int:
    """How many of the terms, from the first on, may be added up within ``TARGET``."""
    return int(np.searchsorted(np.cumsum(terms) / points, TARGET, side="right"))


def _difference(a: Array, b: Array, variant: str) -> Array:
    found: Array = np.abs(a - b) if variant == "legacy" else (np.sqrt(a) - np.sqrt(b)) ** 2
    return found


def _checked(side: str, z: ArrayLike, y: ArrayLike) -> tuple[Array, Labels]:
    features, labels = np.asarray(z, dtype=float), np.asarray(y)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not np.isfinite(features).all():
        raise RequestError(
            f"Side {side} needs finite features (n, d) and labels (n,), but has the shapes "
            f"{features.shape} and {labels.shape}."
        )
    return features, labels.astype(np.int64)


def _some(labels: Labels) -> str:
    return ", ".join(map(str, np.unique(labels)[:5])) or "none"
