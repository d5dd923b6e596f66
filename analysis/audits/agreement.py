"""Can OOD accuracy be estimated without labels? Agreement on the line.

Baek et al. (2022), "Agreement-on-the-Line" (arXiv 2206.13089): where the accuracies of models are
on a line on probit axes, so are the agreements of pairs of models, with the same slope and bias.
Agreement needs no labels, so its line can stand in for that of accuracy. ``ALine-S`` takes each ID
accuracy along it; ``ALine-D`` solves, for the OOD accuracies of all models, the equations that each
pair gives (their section 5). Here the labels are known, and show how far off that is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..curves.axes import INVERSES, on_axis
from ..curves.on_the_line import FEWEST
from ..stats.intervals import UNKNOWN, Array, Estimate
from ..stats.smooth import estimated
from .scored import Part, Scored

STRONG = 0.95
"""Agreement is strong where its correlation is at least this (95% interval)."""

WRONG = 0.05
"""An estimate that is off by more on the mean, by its 95% interval, is wrong."""

RESAMPLES = 200

Places = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Agreement:
    """Agreement of pairs of models, and what it makes of OOD accuracy.

    Attributes:
        models: The models that have learned.
        correlation: Correlation of ID and OOD agreement of all pairs, on probit axes.
        slope: Slope of the line of agreement.
        slope_of_accuracy: Slope of the line of accuracy, by least squares as well.
        error: Mean absolute difference of ALine-D's estimates and OOD accuracy.
        error_of_line: Mean absolute difference of ALine-S's estimates and OOD accuracy.
        bias: Mean of estimate less accuracy, of ALine-D.
        verdict: ``strong, and right here``, ``strong, and wrong here``, ``strong, and undecided
            here``, or ``not strong``.
        estimates: (K,) ALine-D's of each model that has learned.
        accuracies: (K,) its OOD accuracies.
        points: (2, pairs) ID and OOD agreement.
    """

    models: int
    correlation: Estimate
    slope: Estimate
    slope_of_accuracy: Estimate
    error: Estimate
    error_of_line: Estimate
    bias: Estimate
    verdict: str
    estimates: tuple[float, ...]
    accuracies: tuple[float, ...]
    points: NDArray[np.float64]


def agreement_on_the_line(scored: Scored, seed: int = 0) -> Agreement:
    """Agreement of the models that have learned, with intervals over models.

    Args:
        scored: All models.
        seed: Seed of the bootstrap.
    """
    models = scored.of(scored.learned)
    k = len(models)
    if k < FEWEST:
        empty = np.empty((2, 0))
        why, none = f"fewer than {FEWEST} models are above chance", UNKNOWN
        return Agreement(k, none, none, none, none, none, none, why, (), (), empty)
    first, second = np.triu_indices(k, 1)
    agreed = [agreement(part)[first, second] for part in (models.id, models.ood)]
    x, y = (on_axis(a, "probit", part.n) for a, part in zip(agreed, _parts(models), strict=True))
    a, b = (on_axis(part.accuracy, "probit", part.n) for part in _parts(models))
    truth = models.ood.accuracy
    rng = np.random.default_rng([seed, 2])
    counts = np.vstack([np.ones(k), rng.multinomial(k, np.full(k, 1 / k), RESAMPLES)])
    rows = []
    for weights in counts:
        line, bias, r = _line(x, y, weights[first] * weights[second])
        solved = _solved(x, y, a, line, weights, (first, second))
        off, along = (INVERSES["probit"](z) - truth for z in (solved, line * a + bias))
        means = [np.average(v, weights=weights) for v in (abs(off), abs(along), off)]
        fisher_z = np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9))
        rows.append([fisher_z, line, _line(a, b, weights)[0], *means])
    values = np.array(rows)
    fisher, slope_of_pairs, slope, error, error_of_line, bias_of_d = (
        estimated(column, k, 2, RESAMPLES)[0] for column in values.T
    )
    correlation = Estimate(*(float(np.tanh(end)) for end in vars(fisher).values()))
    solved = _solved(x, y, a, values[0, 1], counts[0], (first, second))
    return Agreement(
        models=k,
        correlation=correlation,
        slope=slope_of_pairs,
        slope_of_accuracy=slope,
        error=error,
        error_of_line=error_of_line,
        bias=bias_of_d,
        verdict=verdict_of(correlation, error),
        estimates=tuple(map(float, INVERSES["probit"](solved))),
        accuracies=tuple(map(float, truth)),
        points=np.array(agreed),
    )


def verdict_of(correlation: Estimate, error: Estimate) -> str:
    """Whether the agreement is strong, and whether what it says is right."""
    if not correlation.low >= STRONG:
        return "not strong"
    if error.low > WRONG:
        return "strong, and wrong here"
    return "strong, and right here" if error.high < WRONG else "strong, and undecided here"


def agreement(part: Part) -> Array:
    """(K, K) the share of the examples on which two models answer the same."""
    total = np.zeros((len(part.predicted),) * 2)
    for label in np.unique(part.predicted):
        says = (part.predicted == label).astype(np.float32)
        total += (says * part.weights.astype(np.float32)) @ says.T
    return total


def _parts(models: Scored) -> tuple[Part, Part]:
    return models.id, models.ood


def _line(x: Array, y: Array, weights: Array) -> tuple[float, float, float]:
    """Slope, bias and correlation of the weighted points."""
    weights = weights / weights.sum()
    mx, my = weights @ x, weights @ y
    sxx, syy = float(weights @ (x - mx) ** 2), float(weights @ (y - my) ** 2)
    sxy = float(weights @ ((x - mx) * (y - my)))
    slope = sxy / max(sxx, 1e-300)
    return slope, float(my - slope * mx), sxy / max(float(np.sqrt(sxx * syy)), 1e-300)


def _solved(
    x: Array, y: Array, a: Array, slope: float, weights: Array, pairs: tuple[Places, Places]
) -> Array:
    """(K,) OOD accuracies on the probit axis, by least squares over all pairs (ALine-D).

    The equation of a pair: the mean of its two OOD accuracies is its OOD agreement, plus the slope
    times what the mean of its two ID accuracies exceeds its ID agreement by.
    """
    first, second = pairs
    target = y + slope * ((a[first] + a[second]) / 2 - x)
    both = weights[first] * weights[second]
    k = len(a)
    gram, moment = np.zeros((k, k)), np.zeros(k)
    gram[first, second] = gram[second, first] = both / 4
    gram[np.diag_indices(k)] = gram.sum(axis=1)
    for side in pairs:
        moment += np.bincount(side, both * target / 2, k)
    return np.asarray(np.linalg.lstsq(gram, moment, rcond=None)[0])
