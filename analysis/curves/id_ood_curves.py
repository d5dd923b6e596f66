"""The runs of each optimizer as (ID, OOD) points with their curve, and how two such differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError
from oodbench.results.select import drawn

from ..runs.columns import GROUP, rows_of, values_of
from ..runs.draws import draw_codes
from ..runs.panels import panels
from ..stats.intervals import Array, Estimate, from_error
from ..stats.smooth import PARAMETERS, Smooth, fit_smooth
from ..stats.testing import p_value
from .fitting import learned
from .return_curves import usable

CENTRAL = (5, 95)
"""Percentiles of ID accuracy between which a curve is trusted: few runs hold it beyond."""

FEWEST = 10
"""Fewer configurations of either in the common range are not compared."""


@dataclass(frozen=True)
class Cloud:
    """The runs of one optimizer that a curve rests on.

    Attributes:
        optimizer: Its name.
        id, ood: (n,) accuracies.
        draws: (n,) which draw each run came from; shared by optimizers, see ``draw_codes``.
        left_out: Why other runs are not here -> how many.
        curve: Through the runs, or None where too few configurations differ.
    """

    optimizer: str
    id: Array
    ood: Array
    draws: NDArray[np.int64]
    left_out: Mapping[str, int]
    curve: Smooth | None

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

    def inside(self, low: float, high: float) -> NDArray[np.bool_]:
        """Which runs have an ID accuracy of this range."""
        return (self.id >= low) & (self.id <= high)

    def enough(self, low: float, high: float) -> bool:
        """Whether as many configurations as are needed lie in this range."""
        return len(np.unique(self.draws[self.inside(low, high)])) >= FEWEST


@dataclass(frozen=True)
class Mean:
    """An estimated mean, and how it would change without each draw: its delete-one jackknife.

    Attributes:
        value: The estimate.
        influence: Draw -> the value less what it is without the draw's runs.
        freedom: Degrees of freedom of the error, the root of the sum of squared influences.
    """

    value: float
    influence: "pd.Series[float]"
    freedom: int


def mean_of_curve(cloud: Cloud, curve: Smooth, x: Array) -> Mean:
    """The mean of the curve through a cloud over the points ``x``."""
    q, r = np.linalg.qr(curve.basis(cloud.id))
    draws, codes = np.unique(cloud.draws, return_inverse=True)
    gram = np.zeros((len(draws), PARAMETERS, PARAMETERS))
    moment = np.zeros((len(draws), PARAMETERS))
    np.add.at(gram, codes, q[:, :, None] * q[:, None, :])
    np.add.at(moment, codes, q * cloud.ood[:, None])
    rest = np.eye(PARAMETERS) - gram
    # Where a curve cannot be fitted without some draw its error is not known.
    rest[np.linalg.eigvalsh(rest)[:, 0] < 1e-9] = np.nan
    without = np.linalg.solve(rest, (moment.sum(axis=0) - moment)[..., None])[..., 0]
    contrast = np.linalg.solve(r.T, curve.basis(x).mean(axis=0))
    influence = (moment.sum(axis=0) - without) @ contrast
    value = float(curve.at(x).mean())
    return Mean(value, pd.Series(influence, index=draws), len(draws) - PARAMETERS)


def difference(a: Mean, b: Mean) -> tuple[Estimate, float]:
    """a - b with Student's t intervals, and the p-value that it is 0.

    Runs of one draw share their training seed, and often their hyperparameters' quantiles, so the
    two may be correlated, positively or negatively. The squared error is therefore the sum over
    the draws of either of the squared difference of its influences (jackknife; for points with a
    draw each it is the HC3 of MacKinnon and White 1985).
    """
    every = a.influence.index.union(b.influence.index)
    one, other = (mean.influence.reindex(every, fill_value=0.0).to_numpy() for mean in (a, b))
    error = float(np.sqrt(((one - other) ** 2).sum()))
    value, freedom = a.value - b.value, min(a.freedom, b.freedom)
    return from_error(value, error, freedom), p_value(value, error, freedom)


def clouds_of(
    pairs: pd.DataFrame, dataset: str | None, algorithm: str | None
) -> Iterator[tuple[dict[str, str], list[Cloud]]]:
    """Dataset, test environments and algorithm of each panel, and its optimizers' clouds.

    A run counts as in ``curves.return_curves``: ``usable``, with both scores and above chance.
    """
    for panel in panels(pairs, dataset, algorithm):
        mine = drawn(rows_of(pairs, *panel.key))
        of = dict(iter(mine.assign(draw=draw_codes(mine)).groupby("optimizer")))
        clouds = [_cloud(name, of[name], panel.chance) for name in panel.counts.index]
        yield dict(zip(GROUP, panel.key, strict=True)), clouds


def _cloud(optimizer: str, runs: pd.DataFrame, chance: float | None) -> Cloud:
    kept, left_out = usable(runs)
    x, y = (kept[name].to_numpy(dtype=float, na_value=np.nan) for name in ("id", "ood"))
    known = len(values_of(kept, "n_id")) == len(kept) > 0
    n = kept["n_id"].to_numpy(dtype=float) if known else np.nan
    usual, missing = learned(x, y, chance, n)
    x, y, draws = x[usual], y[usual], kept["draw"].to_numpy(dtype=np.int64)[usual]
    try:
        curve = fit_smooth(x, y, clusters=draws, resamples=1)  # its bootstrap is not used here
    except RequestError:  # too few configurations that differ: having no curve is an answer here
        curve = None
    reasons = {why: count for why, count in {**left_out, **missing}.items() if count}
    return Cloud(optimizer, x, y, draws, reasons, curve)
