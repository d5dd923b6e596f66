"""The rule that says what a return curve is: its verdicts, thresholds and the record of a curve.

The study that this package descends from judged its scatter plots by eye and published no rule, so
the rule here is ours. What decides is the *change* of the curve's slope, from the 17th to the 83rd
percentile of the runs' ID accuracies (the middles of the lower and of the upper third), and the
*overall slope* between these two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..stats.intervals import UNKNOWN, Array, Estimate
from ..stats.smooth import Smooth

NOT_DETERMINED = "not determined"
VERDICTS = ("increasing", "diminishing", "linear", "flat", "inverse", NOT_DETERMINED)

SMALLEST_CHANGE = 0.4
"""Changes of the slope below this do not matter: four tenths of an OOD point per ID point."""

SMALLEST_SLOPE = 0.1
"""An overall slope within this is flat: a point of ID accuracy buys less than a tenth of one."""

SMALLEST_RANGE = 0.02
"""Runs whose ID accuracies differ by less than two points, between the percentiles, say nothing."""


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
        differ = [s for s in other if s.verdict not in (self.verdict, NOT_DETERMINED)]
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
    return NOT_DETERMINED
