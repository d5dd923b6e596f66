"""Is accuracy on the line? ID against OOD accuracy of the audited models."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..curves.on_the_line import accuracy_on_the_line
from ..stats.intervals import Estimate
from .scored import Scored


@dataclass(frozen=True)
class Line:
    """The line of ID and OOD accuracies on probit axes.

    Attributes:
        n: Models.
        slope: Slope of the line; see ``analysis.accuracy_on_the_line``.
        correlation: Pearson's, on probit axes.
        n_good: Models in the better half by ID accuracy.
        correlation_good: Among them.
        well_specified: ``yes``, ``no`` or ``undecided``.
    """

    n: int
    slope: Estimate
    correlation: Estimate
    n_good: int
    correlation_good: Estimate
    well_specified: str


def line_of(scored: Scored, seed: int = 0) -> Line:
    """The line of these models."""
    if not len(scored):
        nothing = Estimate(*[np.nan] * 5)
        return Line(0, nothing, nothing, 0, nothing, "undecided")
    found = accuracy_on_the_line(scored.pairs, predictions=[scored.predictions], seed=seed)
    row: dict[Any, Any] = found.iloc[0].to_dict()
    names = ("slope", "correlation", "correlation_good")
    slope, correlation, good = (
        Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"], np.nan, np.nan)
        for name in names
    )
    verdict = str(row["well_specified"])
    return Line(int(row["n"]), slope, correlation, int(row["n_good"]), good, verdict)
