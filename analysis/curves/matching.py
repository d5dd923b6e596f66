"""OOD accuracy at equal ID accuracy: what is left of a difference once ID accuracy is the same.

The better of two optimizers in distribution is often the better one out of it for that reason
alone. Here the return curves of two optimizers are compared over the ID accuracies that both reach.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name

from ..runs.columns import GROUP, require
from ..stats.intervals import UNKNOWN
from ..stats.testing import ENDS, MARGIN, ends_of, judged
from .id_ood_curves import Cloud, clouds_of, difference, mean_of_curve

LEAST_SHARE = 0.25
"""Curves whose common range is a smaller share of the range that either covers are not compared."""

POINTS = 101


def ood_at_equal_id(
    pairs: pd.DataFrame,
    *,
    margin: float = MARGIN,
    least_share: float = LEAST_SHARE,
    dataset: str | None = None,
    algorithm: str | None = None,
) -> pd.DataFrame:
    """Differences of OOD accuracy between optimizers at equal ID accuracy, for every pair.

    The difference of the two return curves, averaged evenly over the ID accuracies that lie in the
    central 90% of both optimizers' runs. Runs at chance, diverged and failed ones, and those of an
    adaptive search among others are in no curve, and are counted. Intervals are Student's t, from a
    jackknife over draws; see ``analysis.curves.id_ood_curves.difference``.

    ID accuracies are measured on finitely many examples, which flattens curves; where the two
    optimizers' ID accuracies are spread differently, it does so differently.

    Args:
        pairs: As for ``analysis.curves.return_curves.return_curves``.
        margin: A difference closer to 0 than this is called none; a fraction.
        least_share: What the common range must be of the range that either covers.
        dataset, algorithm: Only this one.

    Returns:
        A row per dataset, test environments, algorithm and pair (``a``, ``b``): ``n_a``, ``n_b``
        (runs behind the curves), ``left_out_a``, ``left_out_b`` (words), ``id_low``, ``id_high``
        (the common range), ``shared`` (its share), ``difference`` = a - b with ``low``, ``high``
        (95%), ``low90``, ``high90``, ``p``, ``p_holm`` (over the pairs of a panel) and
        ``verdict``: ``higher``, ``lower``, ``no difference``, ``undecided``; ``not comparable``
        where the common range is too small, or holds fewer than ten configurations of either.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset or algorithm.
    """
    rows = [
        {**key, **_row(a, b, least_share)}
        for key, clouds in clouds_of(pairs, dataset, algorithm)
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
    estimate, p = UNKNOWN, np.nan
    if shared >= least_share and a.enough(low, high) and b.enough(low, high):
        x = np.linspace(low, high, POINTS)
        if a.curve and b.curve:
            estimate, p = difference(mean_of_curve(a, a.curve, x), mean_of_curve(b, b.curve, x))
    sides = {"a": a.optimizer, "b": b.optimizer, "n_a": len(a.id), "n_b": len(b.id)}
    sides |= {"left_out_a": a.words, "left_out_b": b.words}
    common = {"id_low": low, "id_high": high, "shared": shared}
    return {**sides, **common, **ends_of(estimate), "p": p}


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
) -> pd.DataFrame:
    """The difference of two optimizers' return curves at each ID accuracy that they share.

    Args:
        pairs, dataset, algorithm: As for ``ood_at_equal_id``.
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
    for key, clouds in clouds_of(pairs, dataset, algorithm):
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
    rows = []
    for x in np.linspace(low, high, POINTS):
        at = [mean_of_curve(one, one.curve, np.array([x])) for one in (a, b) if one.curve]
        rows.append({"id": float(x), **ends_of(difference(*at)[0])})
    return rows
