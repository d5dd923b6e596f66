"""Judging a return curve: how much OOD accuracy a gain in ID accuracy buys.

One smooth curve is fitted to the runs, ``ood = f(id)``. Its slope is the price: points of OOD
accuracy for a point of ID accuracy. ``analysis.curves.verdicts`` has the rule that judges it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from oodbench.errors import RequestError, check_name

from ..runs.resampling import Resampling
from ..stats.intervals import UNKNOWN, Array, Estimate, within_range
from ..stats.smooth import Smooth
from .axes import INVERSES, SCALES
from .id_ood_curves import FEWEST_NEAR, Cloud, cloud
from .points import RESAMPLES
from .verdicts import (
    NOT_DETERMINED,
    SMALLEST_BEND,
    SMALLEST_GAIN,
    SMALLEST_RANGE,
    ReturnCurve,
    Shape,
    judge,
)

PLACES = (0.5, 0.25, 0.75)
"""Places between the lower and the upper percentile where the bend is measured."""

DRAWN = (2, 98)
"""Percentiles of ID accuracy between which a curve is drawn: there are few runs beyond."""

LEAST = 1e-3
"""The lowest accuracy that a curve has on a logit or probit axis; 1 minus this is the highest."""


class FitSettings(TypedDict, total=False):
    """The keyword arguments of a fit: see ``Fit``."""

    smallest_bend: float
    smallest_gain: float
    smallest_range: float
    scales: Sequence[str]
    resamples: int
    seed: int


@dataclass(frozen=True)
class Fit:
    """How a return curve is fitted and judged.

    Attributes:
        smallest_bend, smallest_gain: Sizes that matter, in OOD accuracy; fractions.
        smallest_range: Nothing is determined where the percentiles of ID accuracy are closer.
        scales: Axes to look at beside that of accuracy.
        resamples: Resamples of the bootstrap.
        seed: Decides them.
    """

    smallest_bend: float = SMALLEST_BEND
    smallest_gain: float = SMALLEST_GAIN
    smallest_range: float = SMALLEST_RANGE
    scales: Sequence[str] = tuple(SCALES)
    resamples: int = RESAMPLES
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


def fit_return_curve(
    id_accuracy: ArrayLike,
    ood_accuracy: ArrayLike,
    *,
    id_val: ArrayLike | None = None,
    configurations: Any = None,
    chance: float | None = None,
    n_id: ArrayLike | None = None,
    **settings: Unpack[FitSettings],
) -> ReturnCurve:
    """Fit a return curve to the runs of one dataset, algorithm and optimizer, and judge it.

    Args:
        id_accuracy, ood_accuracy: (n,) fractions. A run that lacks one is left out and counted.
        id_val: (n,) ID accuracies on other examples, such as validation ones: a second measurement,
            which takes the luck of the test examples out.
        configurations: (n,) labels. Runs of one configuration, such as its training seeds, are
            resampled together. Without, each run is its own.
        chance: Accuracy of guessing. Runs whose ID accuracy (``id_val``, if it is known) is at or
            below it, or above by no more than 1.96 standard errors where ``n_id`` is known, have
            not learned: left out, counted.
        n_id: Examples behind each ID accuracy, (n,) or one number. Without ``id_val`` they are
            divided in two halves, each a measurement. Where neither is known, ID accuracies are
            taken as exact.
        settings: The settings of ``analysis.curves.fitting.Fit``: ``smallest_bend``,
            ``smallest_gain``, ``smallest_range``, ``scales``, ``resamples``, ``seed``.

    Returns:
        A curve. Where fewer than five configurations are left the verdict is ``not determined``
        and ``reason`` says why.

    Raises:
        RequestError: The two have different lengths, or a value lies outside [0, 1].
        UnknownNameError: No such setting or scale.
    """
    fit = Fit.of(settings)
    x, y = _accuracies(id_accuracy, ood_accuracy)
    labels = np.arange(len(x)) if configurations is None else np.asarray(configurations)
    columns: dict[str, Any] = {"id": x, "ood": y, "config_id": labels, "run": np.arange(len(x))}
    columns |= {name: v for name, v in (("id_val", id_val), ("n_id", n_id)) if v is not None}
    columns |= {"n_id_val": columns["n_id"]} if n_id is not None else {}
    runs = pd.DataFrame(columns).assign(status="completed", optimizer="")
    resampling = Resampling(runs, (), fit.resamples, fit.seed)
    return judged_curve(cloud(runs, resampling, chance=chance), fit)


def judged_curve(one: Cloud, fit: Fit) -> ReturnCurve:
    """The curve of a cloud with its verdict."""
    known: dict[str, Any] = {
        "n": len(one.id),
        "configurations": one.configurations,
        "left_out": one.left_out,
        "smallest_bend": fit.smallest_bend,
        "smallest_gain": fit.smallest_gain,
        "corrected": one.expected.corrected,
        "reliability": one.expected.reliability,
    }
    names = ("accuracy", *fit.scales)
    lower, upper = one.range
    if one.curve is None or not lower < upper:
        shapes = {name: Shape(name, NOT_DETERMINED) for name in names}
        return ReturnCurve(MappingProxyType(shapes), reason=one.reason, **known)
    gain, slope = _gain(one, lower, upper)
    shapes = {name: _shape(name, one, (lower, upper), gain, fit) for name in names}
    reason = one.reason or _too_little(one, lower, upper, fit.smallest_range)
    if reason:
        shapes = {name: replace(shape, verdict=NOT_DETERMINED) for name, shape in shapes.items()}
    known |= {"gain": gain, "slope": slope, "percentiles": (lower, upper), "reason": reason}
    first, last = np.percentile(one.id, DRAWN)
    grid = np.linspace(first, last, 101)
    known |= dict(zip(("fitted", "low", "high"), _band(one, one.curve, grid), strict=True))
    return ReturnCurve(MappingProxyType(shapes), grid=grid, smooth=one.curve, **known)


def _too_little(one: Cloud, lower: float, upper: float, smallest_range: float) -> str:
    """Why the runs are too few, or too alike, for a verdict; or empty."""
    if upper - lower < smallest_range:
        return (
            f"The runs hardly differ in ID accuracy: {lower:.3f} and {upper:.3f} are its 5th and "
            f"95th percentiles, less than {smallest_range:g} apart."
        )
    fewest = one.fewest_near(lower, upper)
    if fewest < FEWEST_NEAR:
        return (
            f"Only {fewest} configurations have an ID accuracy in some third of the range from "
            f"{lower:.3f} to {upper:.3f}; it takes {FEWEST_NEAR}."
        )
    return ""


def _estimate(one: Cloud, values: Array) -> Estimate:
    """The estimate of a difference of accuracies, which lies within -1 and 1."""
    return within_range(one.curve.estimate(values), -1, 1) if one.curve else UNKNOWN


def _gain(one: Cloud, lower: float, upper: float) -> tuple[Estimate, Estimate]:
    """The gain between two ID accuracies, and the same for each point of ID accuracy."""
    ends = one.ood_at(np.array([lower, upper]))
    gain = _estimate(one, ends[:, 1] - ends[:, 0])
    values = (gain.value, gain.low, gain.high, gain.low90, gain.high90)
    return gain, Estimate(*(value / (upper - lower) for value in values))


def _shape(scale: str, one: Cloud, ends: tuple[float, float], gain: Estimate, fit: Fit) -> Shape:
    """How far the curve lies under the line between its ends that is straight on this axis."""
    there, back = SCALES.get(scale, _same), INVERSES.get(scale, _same)
    least = LEAST if scale in SCALES else 0.0
    lower, upper = there(np.clip(ends, least, 1 - least))
    steps = np.array([0.0, *PLACES, 1.0])
    value = np.clip(one.ood_at(back(lower + steps * (upper - lower))), least, 1 - least)
    first, last = there(value[:, :1]), there(value[:, -1:])
    below = back(first + steps[1:-1] * (last - first)) - value[:, 1:-1]
    bend, *elsewhere = (_estimate(one, column) for column in below.T)
    verdict = judge(gain, bend, elsewhere, fit.smallest_gain, fit.smallest_bend)
    return Shape(scale, verdict, bend, (elsewhere[0], elsewhere[1]))


def _same(values: Array) -> Array:
    return values


def _band(one: Cloud, curve: Smooth, grid: Array) -> tuple[Array, Array, Array]:
    """The curve at the grid and its pointwise 95% band, within [0, 1]."""
    values = one.ood_at(grid)
    margin = stdtrit(curve.freedom, 0.975) * curve.error(values)
    fitted = values[0]
    return fitted, np.clip(fitted - margin, 0, 1), np.clip(fitted + margin, 0, 1)


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
