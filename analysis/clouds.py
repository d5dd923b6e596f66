"""The runs of each optimizer as a cloud of (ID, OOD) points with its curve, and their differences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.curves import usable
from analysis.intervals import Array, Estimate, from_error
from analysis.panels import GROUP, panels, rows_of, values_of
from analysis.fitting import above_chance
from analysis.searches import draw_codes
from analysis.smooth import PARAMETERS, Smooth, fit_smooth
from analysis.testing import p_value
from oodbench.errors import RequestError, UnknownNameError
from oodbench.results.select import drawn

CENTRAL = (5, 95)
"""Percentiles of ID accuracy between which a curve is trusted: few runs hold it beyond."""

FEWEST = 10
"""Fewer configurations of either in the common range are not compared."""

RESAMPLES = 1000


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
        """The central part of its ID accuracies."""
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
    """An estimated mean, and what each draw contributes to its error.

    Attributes:
        value: The estimate.
        error: Its standard error.
        freedom: Degrees of freedom of the error.
        draws, influence: (n,) draws, and the influence of each run on the value.
    """

    value: float
    error: float
    freedom: float
    draws: NDArray[np.int64]
    influence: Array


def mean_of_curve(cloud: Cloud, curve: Smooth, x: Array) -> Mean:
    """The mean of the curve through a cloud over the points ``x``."""
    contrast = curve.basis(x).mean(axis=0)
    residuals = cloud.ood - curve.at(cloud.id)
    influence = (contrast @ np.linalg.pinv(curve.basis(cloud.id))) * residuals
    error, freedom = float(curve.error_of(contrast)), curve.clusters - PARAMETERS
    return Mean(float(contrast @ curve.coefficients), error, freedom, cloud.draws, influence)


def difference(a: Mean, b: Mean) -> tuple[Estimate, float]:
    """a - b with its intervals, and the p-value that it is 0.

    Runs of one draw share their training seed, and often their hyperparameters' quantiles, so the
    two errors may be correlated: var(a) + var(b) - 2 cov(a, b), the covariance being the sum over
    shared draws of the products of their influences.
    """
    shared = pd.concat(
        [pd.Series(mean.influence).groupby(mean.draws).sum() for mean in (a, b)], axis=1
    ).dropna()
    covariance = float((shared[0] * shared[1]).sum())
    error = float(np.sqrt(max(a.error**2 + b.error**2 - 2 * covariance, 0.0)))
    value, freedom = a.value - b.value, min(a.freedom, b.freedom)
    return from_error(value, error, freedom), p_value(value, error, freedom)


def clouds_of(
    pairs: pd.DataFrame, dataset: str | None, algorithm: str | None, resamples: int, seed: int
) -> Iterator[tuple[dict[str, str], list[Cloud]]]:
    """Dataset, test environments and algorithm of each panel, and its optimizers' clouds.

    A run counts as in ``analysis.curves``: ``usable``, with both scores and above chance.
    """
    for panel in panels(pairs, dataset, algorithm):
        key = {name: str(getattr(panel, name)) for name in GROUP}
        mine = drawn(rows_of(pairs, *key.values()))
        mine = mine.assign(draw=draw_codes(mine))
        found = (
            _cloud(str(name), mine[mine["optimizer"] == name], panel.chance, resamples, seed)
            for name in panel.counts.index
        )
        yield key, [cloud for cloud in found if len(cloud.id)]


def _cloud(
    optimizer: str, runs: pd.DataFrame, chance: float | None, resamples: int, seed: int
) -> Cloud:
    kept, left_out = usable(runs)
    x, y = (kept[name].to_numpy(dtype=float, na_value=np.nan) for name in ("id", "ood"))
    n = kept["n_id"].to_numpy(dtype=float) if len(values_of(kept, "n_id")) == len(kept) else None
    scored = np.isfinite(x) & np.isfinite(y)
    learned = scored & above_chance(x, chance, n)
    left_out |= {
        "without scores": int((~scored).sum()),
        "at chance": int((scored & ~learned).sum()),
    }
    x, y, draws = x[learned], y[learned], kept["draw"].to_numpy(dtype=np.int64)[learned]
    try:
        curve = fit_smooth(x, y, clusters=draws, resamples=resamples, seed=seed)
    except RequestError:  # too few configurations that differ: having no curve is an answer here
        curve = None
    reasons = {why: count for why, count in left_out.items() if count}
    return Cloud(optimizer, x, y, draws, reasons, curve)


def check_name(pairs: pd.DataFrame, column: str, name: str) -> None:
    """Refuse a name that no run has.

    Raises:
        UnknownNameError: With those that runs have.
    """
    names = list(map(str, pairs[column].unique()))
    if name not in names:
        raise UnknownNameError(column, name, names)
