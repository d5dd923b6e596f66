"""The ID accuracy that runs can be expected to have, of the one that was measured.

A measured accuracy is the true one and the luck of the test examples. Among runs that are crowded
at one accuracy, most of what separates them is luck, and a curve over measured accuracies is too
flat there. Two measurements of one quantity correct that: the mean of one among runs that are
alike in the other is free of luck (regression calibration; Carroll et al. 2006, chapter 4).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError

from ..stats.intervals import Array
from ..stats.smooth import fit_smooth

BY_VALIDATION, BY_HALVES, NOT_CORRECTED = "id_val", "halves", ""


@dataclass(frozen=True)
class ExpectedId:
    """What is known of the true ID accuracies of n runs.

    Attributes:
        values: (1 + resamples, n), or (1, n) where all resamples have the same.
        first: (n,) the measurement that they are expected from: what runs are chosen by.
        corrected: How the luck of the test examples was taken out: ``id_val`` (by the accuracy on
            validation examples), ``halves`` (by one half of the test examples, drawn at random,
            where there is one measurement and the number of its examples is known), or empty.
        reliability: Share of a difference of measured ID accuracy that is one of true ID accuracy,
            where it is smallest: in the lower, middle or upper third of the runs. NaN unless
            corrected.
        spread: (n,) standard deviation of the true ID accuracy of each run, given what was
            measured; None where that is taken as exact.
    """

    values: Array
    first: Array
    corrected: str
    reliability: float
    spread: Array | None


def measurements(runs: pd.DataFrame) -> str:
    """Which of the ways of ``ExpectedId.corrected`` these runs allow."""

    def known(name: str) -> bool:
        return name in runs.columns and len(runs) > 0 and bool(runs[name].notna().all())

    # Where a dataset has no ID test examples, its ID accuracy is that on validation examples.
    if known("id_val") and (runs["id_val"] != runs["id"]).any():
        return BY_VALIDATION
    return BY_HALVES if known("n_id") else NOT_CORRECTED


def expected_id(
    first: Array,
    second: Array,
    weights: Array,
    clusters: int,
    resamples: int,
    corrected: str,
    sizes: Array,
) -> ExpectedId:
    """The mean of a second measurement given the first, by a smooth curve.

    The steeper that curve, the less is known of the true accuracy: its variance given the first
    measurement is the slope times the variance of the measurement (Tweedie's formula; Efron 2011).

    Args:
        first, second: (1 + resamples, n) or (1, n).
        weights: (1 + resamples, n).
        clusters, resamples: See ``analysis.stats.smooth.fit_smooth``.
        corrected: As in ``ExpectedId``; if empty, the second measurement is returned.
        sizes: (n,) numbers of examples behind the first measurement; NaN where unknown.
    """
    uncorrected = ExpectedId(second, second[0], NOT_CORRECTED, np.nan, None)
    if not corrected:
        return uncorrected
    try:
        curve, values = fit_smooth(first, second, weights, clusters, resamples)
    except RequestError:  # too few runs that differ: their curve has the same complaint
        return uncorrected
    ends = np.unique(np.quantile(first[0], [0.02, 1 / 3, 2 / 3, 0.98]))
    steepness = np.diff(curve.at(ends)[0]) / np.diff(ends)
    if corrected == BY_HALVES:  # of the whole: Spearman (1910) and Brown (1910)
        steepness = 2 * steepness / (1 + np.maximum(steepness, 0))
    reliability = float(np.clip(steepness.min(), 0, 1))
    true, slopes = np.clip(values[0], 0, 1), np.clip(curve.slopes(first[0]), 0, 1)
    variance = np.nan_to_num(slopes * true * (1 - true) / sizes)
    return ExpectedId(values, first[0], corrected, reliability, np.sqrt(variance))


def halves(accuracy: Array, n: Array, seed: int = 0) -> tuple[Array, Array]:
    """Accuracies on two halves of the examples of each run, divided at random: (n,) each.

    Given the true accuracy, the two are independent.
    """
    sizes = n.astype(np.int64)
    right: NDArray[np.int64] = np.rint(accuracy * sizes).astype(np.int64)
    half = sizes // 2
    taken = np.random.default_rng(seed).hypergeometric(right, sizes - right, half)
    return taken / np.maximum(half, 1), (right - taken) / np.maximum(sizes - half, 1)
