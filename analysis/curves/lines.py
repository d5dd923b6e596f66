"""A straight line through (ID, OOD) points on the axis of accuracy, logit or probit.

The report's browser side fits the same line (``report/static/fit.js``) and is tested against this.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from oodbench.errors import RequestError

from .axes import on_axis


@dataclass(frozen=True)
class Line:
    """OOD = intercept + slope · ID, both on one axis.

    Attributes:
        slope, intercept: Ordinary least squares; NaN where fewer than three points, or points of
            one ID accuracy, are left.
        r2: Share of the variance of OOD that the line takes; NaN where there is none.
        n: Points behind it.
        left_out: Points without a place on the axis: without scores, or at 0 or 1 on a logit or
            probit axis with the number of examples unknown.
    """

    slope: float
    intercept: float
    r2: float
    n: int
    left_out: int


def fit_line(
    id_accuracy: ArrayLike,
    ood_accuracy: ArrayLike,
    axis: str = "accuracy",
    *,
    n_id: ArrayLike | None = None,
    n_ood: ArrayLike | None = None,
) -> Line:
    """Fit a line by ordinary least squares.

    A description of these points. What ID accuracy buys is judged by ``fit_return_curve``.

    Args:
        id_accuracy, ood_accuracy: (n,) fractions.
        axis: Axis of both: ``accuracy``, ``logit`` or ``probit``.
        n_id, n_ood: Examples behind them; see ``on_axis``.

    Raises:
        RequestError: The two have different lengths.
        UnknownNameError: No such axis.
    """
    x, y = on_axis(id_accuracy, axis, n_id), on_axis(ood_accuracy, axis, n_ood)
    if x.ndim != 1 or x.shape != y.shape:
        raise RequestError(
            "A line takes one ID and one OOD accuracy a run: two lists of one length, but their "
            f"shapes are {x.shape} and {y.shape}."
        )
    placed = np.isfinite(x) & np.isfinite(y)
    left_out = int((~placed).sum())
    x, y = x[placed], y[placed]
    if len(x) < 3 or np.ptp(x) == 0:
        return Line(np.nan, np.nan, np.nan, len(x), left_out)
    slope, intercept = np.polynomial.Polynomial.fit(x, y, 1).convert().coef[::-1]
    rest, total = y - intercept - slope * x, y - y.mean()
    r2 = 1 - float(rest @ rest) / float(total @ total) if np.ptp(y) > 0 else np.nan
    return Line(float(slope), float(intercept), r2, len(x), left_out)
