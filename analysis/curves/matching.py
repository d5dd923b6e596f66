"""OOD accuracy at equal ID accuracy: what is left of a difference once ID accuracy is the same.

The better of two optimizers in distribution is often the better one out of it for that reason
alone. Here the return curves of two optimizers are compared over the ID accuracies that both reach.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..runs.columns import GROUP, require
from ..stats.intervals import UNKNOWN, Estimate
from ..stats.smooth import estimated
from ..stats.testing import ENDS, MARGIN, ends_of, judged
from .id_ood_curves import FEWEST_NEAR, Cloud, clouds_of

LEAST_SHARE = 0.25
"""Curves whose common range is a smaller share of the range that either covers are not compared."""

FEWEST = 10
"""Fewer configurations of either in the common range are not compared."""

POINTS = 101


def ood_at_equal_id(
    pairs: pd.DataFrame,
    *,
    margin: float = MARGIN,
    least_share: float = LEAST_SHARE,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """Differences of OOD accuracy between optimizers at equal ID accuracy, for every pair.

    The difference of the two return curves, averaged evenly over the ID accuracies that lie in the
    central 90% of both optimizers' runs. Runs at chance, diverged and failed ones, and those of an
    adaptive search among others are in no curve, and are counted. ID accuracies are the expected
    ones (``analysis.curves.expected_id``): measured ones would give the optimizer whose runs are
    crowded a flatter curve. Intervals are Student's t, from a bootstrap over draws, which
    optimizers share, and over test examples where the predictions are known.

    Args:
        pairs: See ``analysis.curves.return_curves.return_curves``.
        margin: A difference closer to 0 than this is called none; a fraction.
        least_share: What the common range must be of the range that either covers.
        dataset, algorithm: Only this one.
        predictions: Predictions of these runs, as from ``oodbench.predictions``, where they are
            known.
        seed: Decides the bootstrap.

    Returns:
        A row per dataset, test environments, algorithm and pair (``a``, ``b``): ``n_a``, ``n_b``
        (runs behind the curves), ``left_out_a``, ``left_out_b`` (words), ``id_low``, ``id_high``
        (the common range), ``shared`` (its share), ``difference`` = a - b with ``low``, ``high``
        (95%), ``low90``, ``high90``, ``p``, ``p_holm`` (over the pairs of a panel),
        ``verdict``: ``higher``, ``lower``, ``no difference``, ``undecided``; ``not comparable``
        where the common range is too small, where either has fewer than ten configurations in it
        or fewer than three in some third of it, or where a curve does not fit; and ``reason`` (why
        not comparable).

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset or algorithm.
    """
    found = clouds_of(pairs, dataset, algorithm, predictions, seed)
    return equal_id_table(found, margin, least_share)


def equal_id_table(
    found: Iterable[tuple[dict[str, str], list[Cloud]]],
    margin: float = MARGIN,
    least_share: float = LEAST_SHARE,
) -> pd.DataFrame:
    """``ood_at_equal_id`` of the clouds of every panel, as from ``clouds_of``."""
    rows = [
        {**key, **_row(a, b, least_share)}
        for key, clouds in found
        for a, b in combinations(clouds, 2)
    ]
    if not rows:
        raise RequestError(
            "Two optimizers are compared that have runs on one dataset with one algorithm; no two "
            "have. Train another optimizer."
        )
    return judged(pd.DataFrame(rows), [*GROUP], margin)


def _row(a: Cloud, b: Cloud, least_share: float) -> dict[str, Any]:
    low, high, shared = common_range(a, b)
    estimate, p, reason = UNKNOWN, np.nan, _why_not(a, b, least_share)
    if not reason:
        estimate, p = _difference(a, b, np.linspace(low, high, POINTS))
    sides = {"a": a.optimizer, "b": b.optimizer, "n_a": len(a.id), "n_b": len(b.id)}
    sides |= {"left_out_a": a.words, "left_out_b": b.words}
    common = {"id_low": low, "id_high": high, "shared": shared}
    return {**sides, **common, **ends_of(estimate), "p": p, "reason": reason}


def _why_not(a: Cloud, b: Cloud, least_share: float) -> str:
    """Why two optimizers cannot be compared, or empty."""
    low, high, shared = common_range(a, b)
    for one in (a, b):
        if one.reason:
            return f"{one.optimizer}: {one.reason}"
    if shared == 0 or shared < least_share:
        return f"Their ID accuracies share {shared:.0%} of the range of either."
    for one in (a, b):
        found = one.configurations_in(low, high)
        if found < FEWEST:
            return f"{one.optimizer}: {found} configurations in the common range."
        near = one.fewest_near(low, high)
        if near < FEWEST_NEAR:
            return f"{one.optimizer}: {near} configurations in some third of the common range."
    return ""


def _difference(a: Cloud, b: Cloud, x: np.ndarray) -> tuple[Estimate, float]:
    """The mean difference of two curves over ``x``, and the p-value that it is 0."""
    curves = [one.curve for one in (a, b) if one.curve]
    difference = (a.ood_at(x) - b.ood_at(x)).mean(axis=1)
    fewest = min(curves, key=lambda curve: curve.freedom)
    return estimated(difference, fewest.clusters, fewest.parameters, fewest.resamples)


def common_range(a: Cloud, b: Cloud) -> tuple[float, float, float]:
    """The ID accuracies that both cover, and their share of what either does.

    Returns:
        Its ends and the share; NaN, NaN and 0 where they share none.
    """
    low, high = max(a.range[0], b.range[0]), min(a.range[1], b.range[1])
    union = max(a.range[1], b.range[1]) - min(a.range[0], b.range[0])
    return (low, high, (high - low) / union) if low < high else (np.nan, np.nan, 0.0)


def difference_curve(
    pairs: pd.DataFrame,
    a: str,
    b: str,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """The difference of two optimizers' return curves at each ID accuracy that they share.

    Args:
        pairs, dataset, algorithm, predictions, seed: See ``ood_at_equal_id``.
        a, b: Optimizers.

    Returns:
        For each dataset, test environments and algorithm where both have a curve and share a range,
        101 rows of rising ``id`` with ``difference`` = a - b and its pointwise 95% interval
        ``low``, ``high``.

    Raises:
        RequestError: No runs, a column is missing, or the two nowhere share a range.
        UnknownNameError: No such optimizer, dataset or algorithm.
    """
    require(pairs)
    for name in (a, b):
        check_name("optimizer", name, pairs["optimizer"].unique())
    tables = []
    for key, clouds in clouds_of(pairs, dataset, algorithm, predictions, seed):
        found = {cloud.optimizer: cloud for cloud in clouds if cloud.curve}
        if a in found and b in found and common_range(found[a], found[b])[2] > 0:
            tables.append(pd.DataFrame(_points(found[a], found[b])).assign(**key, a=a, b=b))
    if not tables:
        raise RequestError(
            f"{a} and {b} share no range of ID accuracy on any dataset, so their curves cannot be "
            "compared. Train more of both."
        )
    return pd.concat(tables, ignore_index=True)[[*GROUP, "a", "b", "id", *ENDS[:3]]]


def _points(a: Cloud, b: Cloud) -> list[dict[str, float]]:
    low, high, _ = common_range(a, b)
    return [
        {"id": float(x), **ends_of(_difference(a, b, np.array([x]))[0])}
        for x in np.linspace(low, high, POINTS)
    ]
