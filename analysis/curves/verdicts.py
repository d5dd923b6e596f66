"""The rule that says what a return curve is: its verdicts, sizes and the record of a curve.

The study that this package descends from judged its scatter plots by eye and published no rule, so
the rule here is ours. Two sizes decide, both in points of OOD accuracy: the *gain*, from the 5th to
the 95th percentile of the runs' ID accuracies, and the *bend*, how far the middle of the curve lies
under the straight line between these two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..stats.intervals import UNKNOWN, Array, Estimate
from ..stats.smooth import Smooth

NOT_DETERMINED = "not determined"
VERDICTS = ("increasing", "diminishing", "linear", "flat", "inverse", NOT_DETERMINED)

SMALLEST_BEND = 0.01
"""A curve that stays within one point of OOD accuracy of a straight line is one."""

SMALLEST_GAIN = 0.01
"""A gain of less than one point of OOD accuracy is none."""

SMALLEST_RANGE = 0.02
"""Runs whose ID accuracies differ by less than two points, between the percentiles, say nothing."""


@dataclass(frozen=True)
class Shape:
    """What one axis says about the runs.

    Attributes:
        scale: ``accuracy``, ``logit`` or ``probit``: where the line between the ends is straight.
        verdict: One of ``VERDICTS``.
        bend: How far the curve lies under that line at its middle, in OOD accuracy.
        elsewhere: The bends at a quarter and at three quarters.
    """

    scale: str
    verdict: str
    bend: Estimate = UNKNOWN
    elsewhere: tuple[Estimate, Estimate] = (UNKNOWN, UNKNOWN)


@dataclass(frozen=True)
class ReturnCurve:
    """OOD accuracy bought by ID accuracy, among runs that differ in their configuration.

    Attributes:
        shapes: Scale -> what it says; the verdict is that of ``accuracy``.
        n: Runs behind the curve.
        configurations: Different configurations among them: what the bootstrap draws.
        left_out: Why runs are not in the curve -> how many.
        gain: OOD accuracy at the upper percentile minus that at the lower one.
        slope: The gain for each point of ID accuracy between the two.
        percentiles: The ID accuracies between which gain and bend are measured.
        grid: ID accuracies at which the curve is given: where the runs are, from their 2nd to
            their 98th percentile; empty where there is no curve.
        fitted, low, high: The curve and its pointwise 95% band, of the grid's shape, in [0, 1].
        smooth: The fit behind it.
        corrected: How the luck of the ID test examples was taken out, and ``reliability``: the
            share of a difference of measured ID accuracy that is no luck, in the third of the runs
            where it is smallest; see ``analysis.curves.expected_id.ExpectedId``.
        smallest_bend, smallest_gain: The sizes of the verdict.
        reason: Why nothing could be fitted or judged, or empty.
    """

    shapes: Mapping[str, Shape]
    n: int
    configurations: int
    left_out: Mapping[str, int]
    smallest_bend: float
    smallest_gain: float
    gain: Estimate = UNKNOWN
    slope: Estimate = UNKNOWN
    percentiles: tuple[float, float] = (np.nan, np.nan)
    grid: Array = field(default_factory=lambda: np.empty(0))
    fitted: Array = field(default_factory=lambda: np.empty(0))
    low: Array = field(default_factory=lambda: np.empty(0))
    high: Array = field(default_factory=lambda: np.empty(0))
    smooth: Smooth | None = None
    corrected: str = ""
    reliability: float = np.nan
    reason: str = ""

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``, on the accuracy axis."""
        return self.shapes["accuracy"].verdict

    @property
    def bend(self) -> Estimate:
        """The bend of the curve on the accuracy axis."""
        return self.shapes["accuracy"].bend

    @property
    def disagreement(self) -> str:
        """What the logit and probit axes say where it differs from the verdict, or empty.

        An axis on which nothing is determined does not disagree.
        """
        other = [s for name, s in self.shapes.items() if name != "accuracy"]
        differ = [s for s in other if s.verdict not in (self.verdict, NOT_DETERMINED)]
        return "; ".join(f"{s.verdict} on the {s.scale} axis" for s in differ)


def judge(
    gain: Estimate,
    bend: Estimate,
    elsewhere: Sequence[Estimate],
    smallest_gain: float,
    smallest_bend: float,
) -> str:
    """The verdict on a gain and a bend; one of ``VERDICTS``.

    *inverse*: the gain is below minus the smallest gain. *increasing* and *diminishing*: the bend
    exceeds the smallest bend, the curve is nowhere bent the other way, and the gain is not inverse.
    *linear* and *flat*: the bend at the middle and elsewhere lies within the smallest bend, and the
    gain above the smallest gain, or within it. "Exceeds", "below" and "above": the 95% interval
    excludes 0 and the 90% interval lies beyond the size; "within": the 90% interval lies inside. So
    each is wrong in at most 5% of cases, even at a size. Whatever is left is *not determined*.
    """
    direction = gain.beyond(smallest_gain)
    if direction < 0:
        return "inverse"
    bent = bend.beyond(smallest_bend)
    other_way = any(one.beyond(smallest_bend) == -bent for one in elsewhere)
    if bent and not other_way and gain.low90 > -smallest_gain:
        return "increasing" if bent > 0 else "diminishing"
    if all(one.within(smallest_bend) for one in (bend, *elsewhere)):
        if gain.within(smallest_gain):
            return "flat"
        if direction > 0:
            return "linear"
    return NOT_DETERMINED
