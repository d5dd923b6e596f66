"""Is accuracy on the line, and does a split show what models rely on?

Miller et al. (2021), "Accuracy on the Line", found ID and OOD accuracies of many models close to
one line on probit axes, on many datasets. Salaudeen et al. (2025), "Are Domain Generalization
Benchmarks with Accuracy on the Line Misspecified?", show that a split on which higher ID accuracy
goes with higher OOD accuracy does not test whether models rely on features that fail out of
distribution: such a split would make the better model in distribution the worse one out of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn

from ..runs.columns import GROUP, require
from ..runs.panels import chance_of, rows_by_panel
from ..runs.resampling import Resampling
from ..stats.intervals import UNKNOWN, Array, Estimate
from ..stats.smooth import estimated
from .axes import on_axis
from .points import RESAMPLES, points_of, with_draws

FEWEST = 10
"""Fewer configurations have no interval, and fewer among the good ones no verdict."""

GOOD = 50
"""Runs above this percentile of ID accuracy are the good ones."""


def accuracy_on_the_line(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """The line of ID and OOD accuracies on probit axes, and whether the split is well specified.

    A panel's runs of all optimizers are taken together, as the sources take models of all kinds.
    Which runs take part is as for ``analysis.return_curves``. Where a run has an accuracy on
    validation examples, it is the instrument of the slope: the covariance of OOD accuracy with it,
    over that of ID test accuracy with it. So the slope is not flattened by the luck of the test
    examples, and the good runs are not chosen by it.

    Args:
        pairs, dataset, algorithm, predictions, seed: See ``analysis.ood_at_equal_id``.

    Returns:
        A row per dataset, test environments and algorithm: ``n`` (runs), ``slope`` on probit axes
        with ``slope_low`` and ``slope_high`` (95%, bootstrap over draws, and over examples where
        predictions are known), ``correlation`` (Pearson's, of the measured accuracies on probit
        axes) and its interval, ``n_good`` (runs in the better half by ID accuracy),
        ``correlation_good`` (of ID and OOD accuracy among them) and its interval, and
        ``well_specified``: ``no`` where higher ID accuracy goes with higher OOD accuracy among the
        good runs (the 95% interval is above 0), ``yes`` where it goes with lower, else
        ``undecided``.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset or algorithm.
    """
    require(pairs, ("id", "ood"))
    resampling = Resampling(pairs, predictions, RESAMPLES, seed)
    found = rows_by_panel(with_draws(pairs, resampling), dataset, algorithm)
    return pd.DataFrame([_row(key, rows, resampling) for key, rows in found.items()])


def _row(key: Sequence[str], runs: pd.DataFrame, resampling: Resampling) -> dict[str, Any]:
    points = points_of(runs, resampling, chance_of(drawn(runs)))
    first, second, ood = (
        on_axis(values, "probit", n)
        for values, n in (
            (points.first, points.n_first),
            (points.second, points.n_second),
            (points.ood, points.n_ood),
        )
    )
    placed = np.isfinite(first[0]) & np.isfinite(second[0]) & np.isfinite(ood[0])
    # A resampled score of 0 or 1 has no place where its number of examples is not known.
    first, second, ood = (np.nan_to_num(values) for values in (first, second, ood))
    weights = points.weights * placed
    good = placed.copy()
    if placed.any():
        good &= points.first[0] > np.percentile(points.first[0][placed], GOOD)
    with np.errstate(invalid="ignore", divide="ignore"):  # a single run has no slope
        slope = _covariance(weights, first, ood) / _covariance(weights, first, second)
    number = len(np.unique(points.draws[placed]))
    of_good = len(np.unique(points.draws[good]))
    among = _correlation(points.weights * good, first, ood, of_good, points.resamples)
    row: dict[str, Any] = {**dict(zip(GROUP, key, strict=True)), "n": int(placed.sum())}
    row |= _enough(slope, number, points.resamples).columns("slope")
    row |= _correlation(weights, second, ood, number, points.resamples).columns("correlation")
    row |= {"n_good": int(good.sum()), **among.columns("correlation_good")}
    verdict = "no" if among.low > 0 else "yes" if among.high < 0 else "undecided"
    return {**row, "well_specified": verdict}


def _enough(values: Array, configurations: int, resamples: int) -> Estimate:
    return (
        estimated(values, configurations, 2, resamples)[0] if configurations >= FEWEST else UNKNOWN
    )


def _covariance(weights: Array, x: Array, y: Array) -> Array:
    """The weighted covariances (1 + resamples,)."""
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    means = [(weights * values).sum(axis=1, keepdims=True) / total for values in (x, y)]
    covariance: Array = (weights * (x - means[0]) * (y - means[1])).sum(axis=1) / total[:, 0]
    return covariance


def _correlation(
    weights: Array, x: Array, y: Array, configurations: int, resamples: int
) -> Estimate:
    """Pearson's, with an interval that is Student's t on Fisher's axis."""
    spread = np.sqrt(_covariance(weights, x, x) * _covariance(weights, y, y))
    r = np.clip(_covariance(weights, x, y) / np.maximum(spread, 1e-300), -1 + 1e-9, 1 - 1e-9)
    fisher = _enough(np.arctanh(r), configurations, resamples)
    ends = (fisher.value, fisher.low, fisher.high, fisher.low90, fisher.high90)
    return Estimate(*(float(np.tanh(end)) for end in ends))
