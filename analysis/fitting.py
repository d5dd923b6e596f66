"""Return curves: how much OOD accuracy a gain in ID accuracy buys, and whether that changes.

The study that this package descends from judged its scatter plots by eye and published no rule, so
the rule here is ours. One smooth curve is fitted to the runs, ``ood = f(id)``. Its slope is the
price: points of OOD accuracy for a point of ID accuracy. What decides is the *change* of the slope,
from the 17th to the 83rd percentile of the runs' ID accuracies (the middles of the lower and of the
upper third), and the *overall slope* between these two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.intervals import UNKNOWN, Array, Estimate
from analysis.smooth import Smooth, fit_smooth
from oodbench.errors import RequestError, UnknownNameError

VERDICTS = ("increasing", "diminishing", "linear", "flat", "inverse", "not determined")

SMALLEST_CHANGE = 0.4
"""Changes of the slope below this do not matter: four tenths of an OOD point per ID point."""

SMALLEST_SLOPE = 0.1
"""An overall slope within this is flat: a point of ID accuracy buys less than a tenth of one."""

SMALLEST_RANGE = 0.02
"""Runs whose ID accuracies differ by less than two points, between the percentiles, say nothing."""

SCALES: Mapping[str, Any] = MappingProxyType({"logit": special.logit, "probit": special.ndtri})
"""Axes beside that of accuracy: what takes an accuracy there."""


@dataclass(frozen=True)
class Shape:
    """What one axis says about the runs.

    Attributes:
        scale: ``accuracy``, ``logit`` or ``probit``, of both axes.
        verdict: One of ``VERDICTS``.
        change: The slope at the upper percentile minus that at the lower one.
        slope: The overall slope: of the chord between the two.
        lower_slope, upper_slope: The slopes at the two.
        n: Runs behind the fit.
    """

    scale: str
    verdict: str
    change: Estimate = UNKNOWN
    slope: Estimate = UNKNOWN
    lower_slope: Estimate = UNKNOWN
    upper_slope: Estimate = UNKNOWN
    n: int = 0


@dataclass(frozen=True)
class ReturnCurve:
    """OOD accuracy bought by ID accuracy, among runs that differ in their configuration.

    Attributes:
        shapes: Scale -> what it says; the verdict is that of ``accuracy``.
        n: Runs behind the curve.
        configurations: Different configurations among them: what the bootstrap draws.
        left_out: Why runs are not in the curve -> how many.
        percentiles: The ID accuracies between which the change is measured.
        grid: ID accuracies at which the curve is given, from the smallest to the largest; empty
            where there is no curve.
        fitted, low, high: The curve and its pointwise 95% band, of the grid's shape.
        smooth: The fit behind it.
        reliability: Share of the variance of ID accuracy that is not the sampling of test examples,
            if ``n_id`` is known. Slopes are too small by about this factor.
        smallest_change, smallest_slope: The thresholds of the verdict.
        reason: Why nothing could be fitted or judged, or empty.
    """

    shapes: Mapping[str, Shape]
    n: int
    configurations: int
    left_out: Mapping[str, int]
    smallest_change: float
    smallest_slope: float
    percentiles: tuple[float, float] = (np.nan, np.nan)
    grid: Array = field(default_factory=lambda: np.empty(0))
    fitted: Array = field(default_factory=lambda: np.empty(0))
    low: Array = field(default_factory=lambda: np.empty(0))
    high: Array = field(default_factory=lambda: np.empty(0))
    smooth: Smooth | None = None
    reliability: float | None = None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``, on the accuracy axis."""
        return self.shapes["accuracy"].verdict

    @property
    def change(self) -> Estimate:
        """Of the slope, on the accuracy axis."""
        return self.shapes["accuracy"].change

    @property
    def slope(self) -> Estimate:
        """The overall slope on the accuracy axis."""
        return self.shapes["accuracy"].slope

    @property
    def disagreement(self) -> str:
        """What the logit and probit axes say where it differs from the verdict, or empty.

        An axis on which nothing is determined does not disagree.
        """
        other = [s for name, s in self.shapes.items() if name != "accuracy"]
        differ = [s for s in other if s.verdict not in (self.verdict, "not determined")]
        return "; ".join(f"{s.verdict} on the {s.scale} axis" for s in differ)


def judge(change: Estimate, slope: Estimate, smallest_change: float, smallest_slope: float) -> str:
    """The verdict on a change of slope and an overall slope; one of ``VERDICTS``.

    *inverse*: the overall slope is below minus the smallest slope. *increasing* and *diminishing*:
    the change exceeds the smallest change, and the overall slope is not inverse. *flat* and
    *linear*: the change lies within it, and the overall slope within the smallest slope, or above.
    "Exceeds", "below" and "above": the 95% interval excludes 0 and the 90% interval lies beyond
    the threshold; "within": the 90% interval lies inside. So each is wrong in at most 5% of cases,
    even at a threshold. Whatever is left is *not determined*.
    """
    direction = slope.beyond(smallest_slope)
    if direction < 0:
        return "inverse"
    bend = change.beyond(smallest_change)
    if bend and slope.low90 > -smallest_slope:
        return "increasing" if bend > 0 else "diminishing"
    if change.within(smallest_change):
        if slope.within(smallest_slope):
            return "flat"
        if direction > 0:
            return "linear"
    return "not determined"


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
    scored = np.isfinite(x) & np.isfinite(y)
    learned = scored & above_chance(x, chance, sizes[0])
    missing = {"without scores": int((~scored).sum()), "at chance": int((scored & ~learned).sum())}
    sizes = tuple(None if n is None else n[learned].astype(float) for n in sizes)
    x, y, labels = x[learned], y[learned], labels[learned]
    known: dict[str, Any] = {
        "n": len(x),
        "configurations": len(np.unique(labels)),
        "left_out": {why: count for why, count in {**left_out, **missing}.items() if count},
        "smallest_change": smallest_change,
        "smallest_slope": smallest_slope,
    }
    options = {"clusters": labels, "resamples": resamples, "seed": seed}
    thresholds = (smallest_change, smallest_slope)
    try:
        smooth = fit_smooth(x, y, **options)
    except RequestError as error:
        shapes = {name: Shape(name, "not determined") for name in ("accuracy", *scales)}
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
        shapes = {name: replace(shape, verdict=VERDICTS[-1]) for name, shape in shapes.items()}
    grid = np.linspace(smooth.low, smooth.high, 101)
    margin = stats.t.ppf(0.975, smooth.clusters - 4) * smooth.error_of(smooth.basis(grid))
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


def above_chance(x: Array, chance: float | None, n: Array | None) -> Any:
    """Which accuracies exceed chance, where it is known, by more than 1.96 standard errors."""
    if chance is None:
        return np.ones(len(x), dtype=bool)
    error = 0.0 if n is None else 1.96 * np.sqrt(chance * (1 - chance) / np.maximum(n, 1))
    return x > chance + error


def _shape(scale: str, smooth: Smooth, n: int, thresholds: tuple[float, float]) -> Shape:
    if smooth.percentiles[0] == smooth.percentiles[1]:
        return Shape(scale, "not determined", n=n)
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
        return Shape(scale, "not determined", n=int(inside.sum()))
    return _shape(scale, smooth, len(u), thresholds)


def _reliability(x: Array, n: Array | None) -> float | None:
    if n is None or not np.all(n > 0):
        return None
    noise = float(np.mean(x * (1 - x) / n))
    return max(0.0, 1 - noise / float(np.var(x)))
