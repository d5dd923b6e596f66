"""The axes on which accuracies are compared: accuracy itself, logit and probit."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from oodbench.errors import check_name

from ..stats.intervals import Array

SCALES: Mapping[str, Any] = MappingProxyType({"logit": special.logit, "probit": special.ndtri})
"""Axes beside that of accuracy: what takes an accuracy there."""

INVERSES: Mapping[str, Any] = MappingProxyType({"logit": special.expit, "probit": special.ndtr})
"""What takes a place on such an axis back to an accuracy."""

AXES = ("accuracy", *SCALES)


def on_axis(accuracy: ArrayLike, axis: str, n: ArrayLike | None = None) -> Array:
    """Accuracies on an axis.

    Args:
        accuracy: Fractions, of any shape.
        axis: One of ``AXES``.
        n: Examples behind each, NaN where unknown. Where known, an accuracy on a logit or probit
            axis is drawn in to at most (n + 1/2) / (n + 1) and at least (1/2) / (n + 1), which
            moves only 0 and 1: an infinite place would be no place.

    Returns:
        Of the same shape; NaN where there is no finite place.

    Raises:
        UnknownNameError: No such axis.
    """
    values = np.asarray(accuracy, dtype=float)
    check_name("axis", axis, AXES)
    if axis == "accuracy":
        return values
    if n is not None:
        size = np.asarray(n, dtype=float)
        ends = (0.5 / (size + 1), (size + 0.5) / (size + 1))
        values = np.where(size > 0, np.clip(values, *ends), values)
    placed: Array = SCALES[axis](np.where((values > 0) & (values < 1), values, np.nan))
    return placed
