"""Fitting a return curve: how much OOD accuracy a gain in ID accuracy buys.

One smooth curve is fitted to the runs, ``ood = f(id)``. Its slope is the price: points of OOD
accuracy for a point of ID accuracy. ``analysis.curves.verdicts`` has the rule that judges it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from oodbench.errors import RequestError, check_name

from ..stats.intervals import Array
from ..stats.smooth import PARAMETERS, Smooth, fit_smooth
from .axes import SCALES, on_axis
from .verdicts import (
    NOT_DETERMINED,
    SMALLEST_CHANGE,
    SMALLEST_RANGE,
    SMALLEST_SLOPE,
    ReturnCurve,
    Shape,
    judge,
)


class FitSettings(TypedDict, total=False):
    """The keyword arguments of a fit: see ``Fit``."""

    smallest_change: float
    smallest_slope: float
    smallest_range: float
    scales: Sequence[str]
    resamples: int
    seed: int


@dataclass(frozen=True)
class Fit:
    """How a return curve is fitted and judged.

    Attributes:
        smallest_change: A change of the slope that matters, on each axis.
        smallest_slope: An overall slope that matters.
        smallest_range: Nothing is determined where the percentiles of ID accuracy are closer.
        scales: Axes to look at beside that of accuracy.
        resamples: Of the cluster bootstrap.
        seed: Decides them.
    """

    smallest_change: float = SMALLEST_CHANGE
    smallest_slope: float = SMALLEST_SLOPE
    smallest_range: float = SMALLEST_RANGE
    scales: Sequence[str] = tuple(SCALES)
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for scale in self.scales:
            check_name("scale", scale, SCALES)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Fit":
        """The record of a call's keyword arguments.

        Raises:
            UnknownNameError: No such setting, or no such scale.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            check_name("setting", name, known)
        return cls(**settings)

    def smooth(self, x: Array, y: Array, labels: NDArray[Any]) -> Smooth:
        """The curve through points; those of one label are resampled together."""
        return fit_smooth(x, y, clusters=labels, resamples=self.resamples, seed=self.seed)


class _Points(NamedTuple):
    """The runs that take part, (n,) each; NaN where the number of examples is not known."""

    x: Array
    y: Array
    labels: NDArray[Any]
    n_id: Array
    n_ood: Array


def fit_return_curve(
    id_accuracy: ArrayLike,
    ood_accuracy: ArrayLike,
    *,
    configurations: Any = None,
    chance: float | None = None,
    n_id: ArrayLike | None = None,
    n_ood: ArrayLike | None = None,
    left_out: Mapping[str, int] = MappingProxyType({}),
    **settings: Unpack[FitSettings],
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
        left_out: Runs that are missing here already: why -> how many; handed on.
        settings: Those of ``analysis.curves.fitting.Fit``: ``smallest_change``,
            ``smallest_slope``, ``smallest_range``, ``scales``, ``resamples``, ``seed``.

    Returns:
        A curve. Where fewer than five configurations are left the verdict is ``not determined``
        and ``reason`` says why.

    Raises:
        RequestError: The two have different lengths, or a value lies outside [0, 1].
        UnknownNameError: No such setting or scale.
    """
    fit = Fit.of(settings)
    x, y = _accuracies(id_accuracy, ood_accuracy)
    n_id, n_ood = (np.full(x.shape, np.nan if n is None else n, dtype=float) for n in (n_id, n_ood))
    labels = np.arange(len(x)) if configurations is None else np.asarray(configurations)
    kept, missing = learned(x, y, chance, n_id)
    points = _Points(x[kept], y[kept], labels[kept], n_id[kept], n_ood[kept])
    known: dict[str, Any] = {
        "n": len(points.x),
        "configurations": len(np.unique(points.labels)),
        "left_out": {why: count for why, count in {**left_out, **missing}.items() if count},
        "smallest_change": fit.smallest_change,
        "smallest_slope": fit.smallest_slope,
    }
    try:
        smooth = fit.smooth(points.x, points.y, points.labels)
    except RequestError as error:
        shapes = {name: Shape(name, NOT_DETERMINED) for name in ("accuracy", *fit.scales)}
        return ReturnCurve(MappingProxyType(shapes), reason=str(error), **known)
    return _judged(points, smooth, fit, known)


def _judged(points: _Points, smooth: Smooth, fit: Fit, known: Mapping[str, Any]) -> ReturnCurve:
    shapes = {"accuracy": _shape("accuracy", smooth, len(points.x), fit)}
    shapes |= {name: _on_scale(name, points, fit) for name in fit.scales}
    lower, upper = map(float, smooth.percentiles)
    reason = ""
    if upper - lower < fit.smallest_range:
        reason = (
            f"The runs hardly differ in ID accuracy: {lower:.3f} and {upper:.3f} are its 17th and "
            f"83rd percentiles, less than {fit.smallest_range:g} apart."
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
        reliability=_reliability(points.x, points.n_id),
        reason=reason,
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
    x: Array, y: Array, chance: float | None, n: ArrayLike
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which runs a curve can rest on, and why others cannot: reason -> how many.

    Those with both scores whose ID accuracy exceeds chance, where it is known, by more than 1.96
    standard errors, where the number of examples is known.

    Args:
        x, y: ID and OOD accuracies; NaN for none.
        chance: Accuracy of guessing.
        n: ID examples of each; NaN where unknown.
    """
    scored = np.isfinite(x) & np.isfinite(y)
    kept = scored
    if chance is not None:
        error = 1.96 * np.sqrt(chance * (1 - chance) / np.maximum(n, 1))
        kept = scored & (x > chance + np.nan_to_num(error))
    lost = {"without scores": int((~scored).sum()), "at chance": int((scored & ~kept).sum())}
    return kept, lost


def _shape(scale: str, smooth: Smooth, n: int, fit: Fit) -> Shape:
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
    verdict = judge(change, slope, fit.smallest_change, fit.smallest_slope)
    return Shape(scale, verdict, change, slope, lower, upper, n)


def _on_scale(scale: str, points: _Points, fit: Fit) -> Shape:
    """The same fit with both axes transformed."""
    u, v = on_axis(points.x, scale, points.n_id), on_axis(points.y, scale, points.n_ood)
    placed = np.isfinite(u) & np.isfinite(v)
    try:
        smooth = fit.smooth(u[placed], v[placed], points.labels[placed])
    except RequestError:
        return Shape(scale, NOT_DETERMINED, n=int(placed.sum()))
    return _shape(scale, smooth, int(placed.sum()), fit)


def _reliability(x: Array, n: Array) -> float | None:
    if not np.all(n > 0):
        return None
    noise = float(np.mean(x * (1 - x) / n))
    return max(0.0, 1 - noise / float(np.var(x)))
