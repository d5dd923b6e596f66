"""The difference for what the units are a sample of: datasets of a class, optimizers of a kind."""

from collections.abc import Sequence

import numpy as np

from ..runs.names import stepping
from ..runs.resampling import DRAWS
from ..runs.trials import SCORES
from ..stats.intervals import Array, within_range
from ..stats.testing import LEVEL
from .contests import Contest
from .estimates import Tasks, mean_over
from .uncertain import Uncertain


def population(tasks: Tasks, contest: Contest, score: int, found: Uncertain) -> dict[str, float]:
    """The difference for what the units are a sample of: datasets, or else optimizers of a kind.

    With random effects and few units: the variance between units with its own few degrees of
    freedom (Hartung and Knapp 2001), equal weights, and what the units' errors share added. The
    optimizers of both kinds have one variance, as in Student's test of two samples.
    """
    units = _units(tasks, contest, score)
    if not units:
        return dict.fromkeys(("population_low", "population_high", "population_p"), np.nan)
    (of_draws, df), *others = found.parts
    between, freedom_between = _between([sampled[:1] for sampled in units])
    # What the draws do to each unit by itself is in the variance between units already.
    drawn = tasks.bought[0].ways[DRAWS]
    within, _ = _between([sampled[drawn] - sampled[0] for sampled in units])
    parts = ((between, freedom_between), (max(0.0, of_draws - within), df), *others)
    wide = Uncertain(found.value, parts)
    if not wide.half(LEVEL) > found.half(LEVEL):
        wide = found  # of units that happen to lie close: no surer than about themselves
    ends = within_range(wide.estimate(), -1, 1)
    return {"population_low": ends.low, "population_high": ends.high, "population_p": wide.p()}


def _between(units: Sequence[Array]) -> tuple[float, float]:
    """The variance that one or two means have from the spread of their units, and its freedom.

    Args:
        units: (R, k) of each mean; the average over R is taken.
    """
    sizes = [each.shape[1] for each in units]
    freedom = sum(sizes) - len(sizes)
    squares = sum(
        (k - 1) * np.var(each, axis=1, ddof=1) for k, each in zip(sizes, units, strict=True)
    )
    return float(np.mean(squares)) / freedom * sum(1 / k for k in sizes), float(freedom)


def _units(tasks: Tasks, contest: Contest, score: int) -> list[Array]:
    """(R, units) differences on each dataset, or values of each optimizer of each side.

    An optimizer with replicas, or under several names, is one unit: they are no sample of a kind.
    """
    if len(tasks.datasets) > 1:
        return [_by_dataset(tasks, contest, score)]
    sides = [_by_stepping(side) for side in contest.sides]
    if min(map(len, sides)) > 1:
        return [
            np.stack([mean_over(tasks.bought, names)[:, 0, score] for names in side], axis=1)
            for side in sides
        ]
    return []


def _by_stepping(names: Sequence[str]) -> list[list[str]]:
    """Names of optimizers that step alike, together."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(stepping(name), []).append(name)
    return list(found.values())


def _by_dataset(tasks: Tasks, contest: Contest, score: int) -> Array:
    """The differences (R, datasets), averaged over each dataset's panels."""
    each = []
    for name in tasks.datasets:
        mine = [one for one in tasks.bought if one.searches.panel.dataset == name]
        a, b = (mean_over(mine, side) for side in contest.sides)
        each.append((a - b)[:, 0, score])
    return np.stack(each, axis=1)


def agreeing(tasks: Tasks, contest: Contest, score: str) -> int:
    """On how many datasets the difference has the sign of the mean over all of them."""
    each = _by_dataset(tasks, contest, SCORES.index(score))[0]
    return int((np.sign(each) == np.sign(each.mean())).sum())
