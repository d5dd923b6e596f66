"""Fitting a return curve: how much OOD accuracy a gain in ID accuracy buys.

One smooth curve is fitted to the runs, ``ood = f(id)``. Its slope is the price: points of OOD
accuracy for a point of ID accuracy. ``analysis.curves.verdicts`` has the rule that judges it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from oodbench.errors import RequestError, UnknownNameError

from ..stats.intervals import Array
from ..stats.smooth import PARAMETERS, Smooth, fit_smooth
from .verdicts import (
    NOT_DETERMINED,
    SMALLEST_CHANGE,
    SMALLEST_RANGE,
    SMALLEST_SLOPE,
    ReturnCurve,
    Shape,
    judge,
)

SCALES: Mapping[str, Any] = MappingProxyType({"logit": special.logit, "probit": special.ndtri})
"""Axes beside that of accuracy: what takes an accuracy there."""


def fit_return_curve(
    id_accuracy: ArrayLike,
    ood_accuracy: ArrayLike,
    *,
    configurations: Any = None,
    chance: float | None = None,
    n_id: ArrayLike | None = None,
    n_ood: ArrayLike | None = None,
    smallest_change: float = SMALLEST_CHANGE,
    smallest_slope: float = SMALLEST_SLOPE,
    smallest_range: float = SMALLEST_RANGE,
    scales: Sequence[str] = ("logit", "probit"),
    left_out: Mapping[str, int] = MappingProxyType({}),
    resamples: int = 2000,
    seed: int = 0,
) -> ReturnCurve:
    """Fit a return curve to the runs of one dataset, algorithm and optimizer, and judge it.

    Args:
        id_accuracy, ood_accuracy: (n,) fractions. A run that lacks one is left out and counted.
        configurations: (n,) labels. Runs of one configuration, such as its training seeds, are
            resampled together. Without, each run is its own.
        chance: Accuracy of guessing. Runs whose ID accuracy is at or below it, or above by no more
            than 1.96 standard errors where ``n_id`` is known, have not learned: left out, counted.
        n_id, n_ood: Examples behind each accuracy, (n,) or one number. Where they are known,
            accuracies of 0 and 1 take part in the logit and probit axes as (k + 1/2) / (n + 1);
            elsewhere such runs take part in the accuracy axis only.
        smallest_change: A change of the slope that matters, on each axis.
        smallest_slope: An overall slope that matters.
        smallest_range: Nothing is determined where the percentiles of ID accuracy are closer.
        scales: Axes to look at beside that of accuracy.
        left_out: Runs that are missing here already: why -> how many; handed on.
        resamples: Of the cluster bootstrap.
        seed: Decides them.

    Returns:
        A curve. Where fewer than five configurations are left the verdict is ``not determined``
        and ``reason`` says why.

    Raises:
        RequestError: The two have different lengths, or a value lies outside [0, 1].
        UnknownNameError: No such scale.
    """
    x, y = _accuracies(id_accuracy, ood_accuracy)
    sizes = tuple(None if n is None else np.broadcast_to(n, x.shape) for n in (n_id, n_ood))
    labels = np.arange(len(x)) if configurations is None else np.asarray(configurations)
    kept, missing = learned(x, y, chance, sizes[0])
    sizes = tuple(None if n is None else n[kept].astype(float) for n in sizes)
    x, y, labels = x[kept], y[kept], labels[kept]
    known: dict[str, Any] = {
        "n": len(x),
        "configurations": len(np.unique(labels)),
        "left_out": {why: count for why, count in {**left_out, **missing}.items() if count},
        "smallest_change": smallest_change,
        "smallest_slope": smallest_slope,
    }
    options: dict[str, Any] = {"clusters": labels, "resamples": resamples, "seed": seed}
    thresholds = (smallest_change, smallest_slope)
    try:
        smooth = fit_smooth(x, y, **options)
    except RequestError as error:
        shapes = {name: Shape(name, NOT_DETERMINED) for name in ("accuracy", *scales)}
        return ReturnCurve(MappingProxyType(shapes), reason=str(error), **known)
    shapes = {"accuracy": _shape("accuracy", smooth, len(x), thresholds)}
    for name in scales:
        shapes[name] = _on_scale(name, x, y, sizes, options, thresholds)
    lower, upper = map(float, smooth.percentiles)
    if upper - lower < smallest_range:
        known["reason"] = (
            f"The runs hardly differ in ID accuracy: {lower:.3f} and {upper:.3f} are its 17th and "
            f"83rd percentiles, less than {smallest_range:g} apart."
        )
        shapes = {name: replace(shape, verdict=NOT_DETERMINED) for name, shape in shapes.items()}
    grid = np.linspace(smooth.low, smooth.high, 101)
    margin = stats.t.ppf(0.975, smooth.clusters - PARAMETERS) * smooth.error_of(smooth.basis(grid))
    fitted = smooth.at(grid)
    return ReturnCurve(
        MappingProxyType(shapes),
        percentiles=(lower, upper),
        grid=grid,
        fitted=fitted,
        low=fitted - margin,
        high=fitted + margin,
        smooth=smooth,
        reliability=_reliability(x, sizes[0]),
        **known,
    )


def _accuracies(id_accuracy: ArrayLike, ood_accuracy: ArrayLike) -> tuple[Array, Array]:
    x, y = (np.asarray(values, dtype=float) for values in (id_accuracy, ood_accuracy))
    if x.ndim != 1 or x.shape != y.shape:
        raise RequestError(
            "A return curve takes one ID and one OOD accuracy a run: two lists of one length, "
            f"but their shapes are {x.shape} and {y.shape}."
        )
    for name, values in (("ID", x), ("OOD", y)):
        if np.any((values < 0) | (values > 1)):
            worst = values[(values < 0) | (values > 1)][0]
            raise RequestError(
                f"Accuracies are fractions from 0 to 1, but an {name} accuracy is {worst:.6g}. "
                "Divide percentages by 100."
            )
    return x, y


def learned(
    x: Array, y: Array, chance: float | None, n: Array | None
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which runs a curve can rest on, and why others cannot: reason -> how many.

    Those with both scores whose ID accuracy exceeds chance, where it is known, by more than 1.96
    standard errors, where the number of examples is known.

    Args:
        x, y: ID and OOD accuracies; NaN for none.
        chance: Accuracy of guessing.
        n: ID examples of each.
    """
    scored = np.isfinite(x) & np.isfinite(y)
    kept = scored
    if chance is not None:
        error = 0.0 if n is None else 1.96 * np.sqrt(chance * (1 - chance) / np.maximum(n, 1))
        kept = scored & (x > chance + error)
    lost = {"without scores": int((~scored).sum()), "at chance": int((scored & ~kept).sum())}
    return kept, lost


def _shape(scale: str, smooth: Smooth, n: int, thresholds: tuple[float, float]) -> Shape:
    if smooth.percentiles[0] == smooth.percentiles[1]:
        return Shape(scale, NOT_DETERMINED, n=n)
    slopes = smooth.slope_basis

    def chord(ends: Array) -> Array:
        span = np.maximum(ends[..., 1] - ends[..., 0], 1e-12)
        return np.diff(smooth.basis(ends), axis=-2)[..., 0, :] / span[..., None]

    change = smooth.between(lambda ends: slopes(ends[..., 1]) - slopes(ends[..., 0]))
    slope = smooth.between(chord)
    lower = smooth.between(lambda ends: slopes(ends[..., 0]))
    upper = smooth.between(lambda ends: slopes(ends[..., 1]))
    return Shape(scale, judge(change, slope, *thresholds), change, slope, lower, upper, n)


def _on_scale(
    scale: str,
    x: Array,
    y: Array,
    sizes: tuple[Array | None, ...],
    options: Mapping[str, Any],
    thresholds: tuple[float, float],
) -> Shape:
    """The same fit with both axes transformed."""
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    shrunk = [
        values if n is None else np.clip(values, 0.5 / (n + 1), (n + 0.5) / (n + 1))
        for values, n in zip((x, y), sizes, strict=True)
    ]
    inside = np.logical_and.reduce([(values > 0) & (values < 1) for values in shrunk])
    u, v = (SCALES[scale](values[inside]) for values in shrunk)
    try:
        smooth = fit_smooth(u, v, **{**options, "clusters": options["clusters"][inside]})
    except RequestError:
        return Shape(scale, NOT_DETERMINED, n=int(inside.sum()))
    return _shape(scale, smooth, len(u), thresholds)


def _reliability(x: Array, n: Array | None) -> float | None:
    if n is None or not np.all(n > 0):
        return None
    noise = float(np.mean(x * (1 - x) / n))
    return max(0.0, 1 - noise / float(np.var(x)))
