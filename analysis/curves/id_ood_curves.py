"""The runs of each optimizer as (ID, OOD) points with the curve through them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn

from ..runs.columns import GROUP, require
from ..runs.panels import chance_of, rows_by_panel
from ..runs.resampling import Resampling
from ..stats.intervals import Array
from ..stats.smooth import CENTRAL, Smooth, fit_smooth, lack_of_fit
from .expected_id import ExpectedId, expected_id
from .points import RESAMPLES, points_of, with_draws

FITS = 0.01
"""A curve whose lack of fit has a smaller p-value does not fit, and judges nothing."""


FEWEST_NEAR = 3
"""Configurations in each third of a range: without them the form of a curve is a guess there."""


@dataclass(frozen=True)
class Cloud:
    """The runs that one curve rests on, and their resamples.

    Attributes:
        optimizer: Name of the optimizer.
        expected: Expected ID accuracies of the runs.
        ood: (1 + resamples, n) OOD accuracies, or (1, n).
        weights: (1 + resamples, n): how often each run is there.
        draws: (n,) which draw each run came from.
        left_out: Why other runs are not here -> how many.
        curve: Through the runs, or None where there is none.
        reason: Why there is no curve, or why it judges nothing; or empty.
    """

    optimizer: str
    expected: ExpectedId
    ood: Array
    weights: Array
    draws: NDArray[np.int64]
    left_out: Mapping[str, int]
    curve: Smooth | None = None
    reason: str = ""
    configurations: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", len(np.unique(self.draws)))

    @property
    def id(self) -> Array:
        """(n,): the expected ID accuracies of the runs as they are."""
        mine: Array = self.expected.values[0]
        return mine

    @property
    def range(self) -> tuple[float, float]:
        """The central part of its ID accuracies; NaN where no run is left."""
        if not len(self.id):
            return np.nan, np.nan
        low, high = np.percentile(self.id, CENTRAL)
        return float(low), float(high)

    @property
    def words(self) -> str:
        """What was left out, for a table."""
        return ", ".join(f"{count} {why}" for why, count in self.left_out.items())

    def ood_at(self, x: Array) -> Array:
        """OOD accuracies of the curve, (1 + resamples, P), at ``x`` as for ``Smooth.at``.

        Where a curve leaves [0, 1], as one of few runs may, it is held at the end.
        """
        if self.curve is None:
            raise RequestError(self.reason)
        return np.clip(self.curve.at(x), 0, 1)

    def inside(self, low: float, high: float) -> NDArray[np.bool_]:
        """Which runs have an ID accuracy of this range."""
        return (self.id >= low) & (self.id <= high)

    def configurations_in(self, low: float, high: float) -> int:
        """How many configurations have an ID accuracy of this range."""
        return len(np.unique(self.draws[self.inside(low, high)]))

    def fewest_near(self, low: float, high: float) -> int:
        """How many configurations are in the third of this range that has the fewest.

        Those beyond its ends count too: they bear on the curve there.
        """
        ends = [-np.inf, *np.linspace(low, high, 4)[1:-1], np.inf]
        return min(self.configurations_in(*pair) for pair in pairwise(ends))


def cloud(
    runs: pd.DataFrame, resampling: Resampling, optimizer: str = "", chance: float | None = None
) -> Cloud:
    """The runs of one group with the curve through them; see ``points_of``."""
    points = points_of(runs, resampling, chance)
    y, weights, draws = points.ood, points.weights, points.draws
    configurations = len(np.unique(draws))
    resamples = points.resamples
    expected = expected_id(
        *(points.first, points.second, weights, configurations, resamples),
        *(points.corrected, points.n_first),
    )
    known = Cloud(optimizer, expected, y, weights, draws, points.left_out)
    try:
        curve, fitted = fit_smooth(
            expected.values, y, weights, configurations, resamples, expected.spread
        )
    except RequestError as error:  # having no curve is an answer here
        return replace(known, reason=str(error))
    p = lack_of_fit(curve, fitted, expected.values, y, weights)
    reason = f"The curve does not fit (p = {p:.2g})." if p < FITS else ""
    return replace(known, curve=curve, reason=reason)


def clouds_of(
    pairs: pd.DataFrame,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> Iterator[tuple[dict[str, str], list[Cloud]]]:
    """Dataset, test environments and algorithm of each panel, and its optimizers' clouds."""
    require(pairs, ("id", "ood"))
    resampling = Resampling(pairs, predictions, RESAMPLES, seed)
    pairs = with_draws(pairs, resampling)
    for key, rows in rows_by_panel(pairs, dataset, algorithm).items():
        chance, of = chance_of(drawn(rows)), dict(iter(rows.groupby("optimizer")))
        names = pd.unique(drawn(rows)["optimizer"])
        clouds = [cloud(of[name], resampling, str(name), chance) for name in names]
        yield dict(zip(GROUP, key, strict=True)), clouds
