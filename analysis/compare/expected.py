"""What each optimizer's budget buys on one panel, with the resamples behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from oodbench.results.select import RUN_RULES

from ..runs.resampling import Resample, Resampling
from ..runs.searches import NO_MODEL, Searches
from ..runs.trials import SCORES
from ..stats.best_of import none_left, ranked
from ..stats.intervals import Array
from .budgets import Budget

WINS = 50
"""Resamples of a probability of improvement: it is an effect size, on which no verdict rests."""

DIGITS = 9
"""Ranks that differ by less are equal: the last bit of a sum decides nothing."""


@dataclass(frozen=True)
class Bought:
    """What budgets buy each optimizer on one panel.

    Row 0 of R is of the runs as they are, the others of the resamples; see ``Resampling.ways``.

    Attributes:
        searches: The panel.
        budgets: The one that decides, then the others.
        values: Optimizer -> (R, budgets, scores): the expected score of its selected run, on
            average over the data splits; NaN where its search has fewer trials.
        of_split: Data seed -> optimizer -> (budgets, scores): the same on each split.
        wins: (R, scores, optimizers, optimizers): the probability that the selected run of the
            first scores higher than that of the second, at the budget that decides; a tie counts
            half. Empty where it was not asked for.
        wins_ways: As ``ways``, of ``wins``.
        no_model: Optimizer -> (budgets,): the probability that a search is left without a model.
        draws: Optimizer -> how many of its draws count, on the split with the fewest.
        ways: Which rows of R are resampled in which way.
        covers: Whether the examples are resampled, too.
    """

    searches: Searches
    budgets: tuple[Budget, ...]
    values: Mapping[str, Array]
    of_split: Mapping[int, Mapping[str, Array]]
    wins: Array
    wins_ways: Mapping[str, slice]
    no_model: Mapping[str, Array]
    draws: Mapping[str, int]
    ways: Mapping[str, slice]
    covers: bool


@dataclass(frozen=True)
class _Cell:
    """The trials of one optimizer on one data split: their places among the panel's."""

    optimizer: str
    split: int
    places: NDArray[np.int64]


def bought(
    searches: Searches,
    budgets: Sequence[Budget],
    resampling: Resampling,
    *,
    wins: bool = True,
    kept: NDArray[np.bool_] | None = None,
) -> Bought:
    """Estimate what budgets buy their optimizers, for the runs as they are and for each resample.

    Args:
        searches: The panel.
        budgets: The one that decides first.
        resampling: The weights of draws and examples.
        wins: Compute the probabilities of improvement, too.
        kept: Which of ``searches.runs`` count; all by default.
    """
    runs = searches.runs
    kept = np.ones(len(runs), dtype=bool) if kept is None else kept
    columns = (RUN_RULES[searches.rule], *SCORES)
    completed = (runs["status"] == "completed").to_numpy()
    cells = [
        _Cell(name, split, places[kept[places]])
        for name in budgets[0].trials
        for split, places in searches.places[name].items()
    ]
    blocks = [
        _block(one, columns, completed, cells, budgets, wins and one.start < WINS)
        for one in resampling.of(runs, columns)
    ]
    by_cell = [np.concatenate(parts) for parts in zip(*(block[0] for block in blocks), strict=True)]
    values = {
        name: np.mean(
            [v for c, v in zip(cells, by_cell, strict=True) if c.optimizer == name], axis=0
        )
        for name in budgets[0].trials
    }
    of_split: dict[int, dict[str, Array]] = {}
    no_model: dict[str, list[list[float]]] = {}
    draws: dict[str, int] = {}
    codes = runs["draw"].to_numpy()
    for cell, value in zip(cells, by_cell, strict=True):
        of_split.setdefault(cell.split, {})[cell.optimizer] = value[0]
        lost, n = int((~completed[cell.places]).sum()), len(cell.places)
        none = [none_left(lost, n, one.trials[cell.optimizer]) for one in budgets]
        no_model.setdefault(cell.optimizer, []).append(none)
        here = len(np.unique(codes[cell.places]))
        draws[cell.optimizer] = min(draws.get(cell.optimizer, here), here)
    return Bought(
        searches,
        tuple(budgets),
        values,
        of_split,
        np.concatenate([block[1] for block in blocks if block[1] is not None])
        if wins
        else np.empty(0),
        resampling.first(WINS).ways,
        {name: np.mean(each, axis=0) for name, each in no_model.items()},
        draws,
        resampling.ways,
        resampling.covers(runs, columns),
    )


def _block(
    one: Resample,
    columns: Sequence[str],
    completed: NDArray[np.bool_],
    cells: Sequence[_Cell],
    budgets: Sequence[Budget],
    wins: bool,
) -> tuple[list[Array], Array | None]:
    """The scores of each cell (R, budgets, scores), and the wins in some resamples."""
    rank = np.where(completed, np.round(one.scores[columns[0]], DIGITS), -np.inf)
    scores = [np.where(completed, one.scores[name], NO_MODEL) for name in SCORES]
    values, chosen = [], []
    for cell in cells:
        weights, mine = one.weights[:, cell.places], [score[:, cell.places] for score in scores]
        searched = ranked(rank[:, cell.places], weights)
        paid = [budget.trials[cell.optimizer] for budget in budgets]
        able = [n <= len(cell.places) for n in paid]
        value = np.full((len(weights), len(budgets), len(SCORES)), np.nan)
        if any(able):
            value[:, able] = searched.expected(mine, list(compress(paid, able)))
        values.append(value)
        if wins:
            chosen.append(searched.selected(paid[0]) if able[0] else np.full_like(weights, np.nan))
    if not wins:
        return values, None
    return values, np.stack([_wins(cells, chosen, score) for score in scores], axis=1)


def _wins(cells: Sequence[_Cell], chosen: Sequence[Array], score: Array) -> Array:
    """(R, optimizers, optimizers): P(first > second) + P(equal) / 2, on average over the splits."""
    names = list(dict.fromkeys(cell.optimizer for cell in cells))
    splits = list(dict.fromkeys(cell.split for cell in cells))
    total = np.zeros((len(chosen[0]), len(names), len(names)))
    shared = np.zeros((len(names), len(names)))
    for split in splits:
        mine = [i for i, cell in enumerate(cells) if cell.split == split]
        places = np.concatenate([cells[i].places for i in mine])
        sizes = [len(cells[i].places) for i in mine]
        owner = np.repeat([names.index(cells[i].optimizer) for i in mine], sizes)
        mass = np.concatenate([chosen[i] for i in mine], axis=-1)
        each = _masses(score[:, places], mass, owner, len(names))
        total += np.swapaxes(each, -1, -2) @ (np.cumsum(each, axis=1) - each / 2)
        here = np.isin(np.arange(len(names)), owner)
        shared += here[:, None] & here
    with np.errstate(invalid="ignore"):
        found: Array = total / shared
    return found


def _masses(score: Array, mass: Array, owner: NDArray[np.int64], owners: int) -> Array:
    """(R, levels, owners): the mass (R, N) of each owner's trials at each level of the score."""
    levels = ranked(np.round(score, DIGITS), np.ones((1, len(owner)))).levels
    shape = len(mass), int(levels.max()) + 1, owners
    places = np.ravel_multi_index((np.arange(len(mass))[:, None], levels, owner), shape)
    flat = np.bincount(places.ravel(), mass.ravel(), int(np.prod(shape)))
    return flat.reshape(shape).astype(float, copy=False)
