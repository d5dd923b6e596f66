"""How hard is the dataset for a linear model?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..conclusions.optimizer_table import wilson_interval
from ..stats.intervals import Estimate
from .scored import Part, Scored


@dataclass(frozen=True)
class Hardness:
    """Accuracies of the best linear and of the best other model, each by ID validation accuracy.

    Attributes:
        linear_id, linear_ood: Accuracy of the linear model, with Wilson's intervals over examples.
        other_id, other_ood: Accuracy of the other model, in the same form.
    """

    linear_id: Estimate
    linear_ood: Estimate
    other_id: Estimate
    other_ood: Estimate


def hardness_of(scored: Scored, linear: NDArray[np.bool_]) -> Hardness:
    """What the best model of either kind comes to."""
    found = []
    for kind in (linear, ~linear):
        chosen = np.where(kind, scored.selecting, -np.inf)
        best = int(np.argmax(chosen)) if kind.any() else -1
        found += [_accuracy(part, best) for part in (scored.id, scored.ood)]
    return Hardness(*found)


def _accuracy(part: Part, model: int) -> Estimate:
    if model < 0:
        return Estimate(*[np.nan] * 5)
    value = float(part.accuracy[model])
    low, high = wilson_interval(pd.Series([value]), pd.Series([part.n]))
    return Estimate(value, float(low[0]), float(high[0]), np.nan, np.nan)
