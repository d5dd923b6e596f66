"""Examples on which all good models give one and the same wrong answer: labels to look at."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..conclusions.optimizer_table import wilson_interval
from ..stats.intervals import Estimate
from .scored import Part

ALL = 0.9
"""The share of the good models that must agree."""


@dataclass(frozen=True)
class Noise:
    """Labels that the good models contradict with one voice.

    Wrong labels are among these, and so are examples that all models get wrong alike: only a look
    at them shows which.

    Attributes:
        n: Examples.
        models: The better half by ID accuracy.
        share: Share of the examples, with Wilson's interval.
        examples: Numbers of these examples.
    """

    n: int
    models: int
    share: Estimate
    examples: tuple[int, ...]


def contradicted(part: Part) -> Noise:
    """The examples whose label at least ``ALL`` of the models contradict with one answer."""
    models, n = part.predicted.shape
    if not models:
        return Noise(n, 0, Estimate(*[np.nan] * 5), ())
    most = np.zeros(n)
    for label in np.unique(part.predicted):
        votes = (part.predicted == label).mean(axis=0)
        most = np.maximum(most, np.where(part.labels == label, 0, votes))
    found = most >= ALL
    share = float(found.mean())
    low, high = wilson_interval(pd.Series([share]), pd.Series([part.n]))
    interval = Estimate(share, float(low[0]), float(high[0]), np.nan, np.nan)
    return Noise(n, models, interval, tuple(map(int, np.unique(part.examples[found]))))
