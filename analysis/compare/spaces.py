"""Parts of the search spaces: does a difference of optimizers rest on the ranges that were chosen?

An optimizer's search space is a choice of whoever made it. Here every space is cut to a better part
of it, by validation scores only. A difference that is gone in such a part is one of the spaces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.results.select import RUN_RULES

from ..runs.names import pretty
from ..stats.best_of import INDEPENDENT, expected_highest
from ..stats.intervals import Array
from .ranges import positions

Mask = NDArray[np.bool_]

LEARNING_RATE = "lr"

STEP = 0.1
"""Decades from one window of the learning rate that is tried to the next."""

EDGE = 0.1
"""The part of a range, at either end, that is its edge."""

PEEL = 0.1
"""The share of the draws that leaves a space in one step of ``_best_part``."""

DIGITS = 12
"""Decimals of a score that decide between two parts: the last ones differ between processors."""

PARTS = 2 * INDEPENDENT
"""A space is cut if it has this many times the budget in draws: a part must hold half of them."""


@dataclass(frozen=True)
class Cuts:
    """Parts of the search spaces of one panel.

    Attributes:
        kept: What remains, such as ``the better half of weight_decay`` -> (N,): which runs.
        refused: Why the spaces are not cut; empty if they are.
    """

    kept: Mapping[str, Mask]
    refused: str = ""


def cuts(runs: pd.DataFrame, rule: str, n: int, places: pd.DataFrame | None = None) -> Cuts:
    """Cut the space of every optimizer, each to a part of its own, in several ways.

    - *the better decade of lr*: the window one decade wide;
    - *the better half of* a hyperparameter's range, a cut for each hyperparameter;
    - *the ranges without their edges*: without the outer tenth at either end of each;
    - *the best part of each space*: a box of ``4 n`` draws, found by peeling (PRIM).

    What is better has the higher expected score of the best of ``n``, of the scores that ``rule``
    reads. A part is as much larger as it takes to hold ``4 n`` draws. An optimizer without the
    hyperparameter keeps all of its draws. Nothing is cut if some optimizer has fewer than ``8 n``.

    Args:
        runs: The trials of one panel, a row each (see ``analysis.runs.trials.trials_of``); columns
            that no table of runs has are taken for hyperparameters.
        rule: How a run is selected, one of ``oodbench.results.select.RUN_RULES``.
        n: Trials of a search, the budget at which optimizers are compared.
        places: Places of these trials in their ranges, if they are known; see ``positions``.
    """
    places = positions(runs) if places is None else places
    spaces = _spaces(runs, places, RUN_RULES[rule], n)
    needed = PARTS * n
    few = [
        f"{pretty(space.optimizer)} has {space.first.sum():,}"
        for space in spaces
        if space.places and space.first.sum() < needed
    ]
    if few:
        return Cuts({}, f"{needed:,} draws of each optimizer are needed, but {', '.join(few)}")
    ways: dict[str, Callable[[_Space], Mask | None]] = {"the better decade of lr": _better_decade}
    for name in map(str, places):
        ways[f"the better half of {name}"] = partial(_better_half, name=name)
    ways |= {"the ranges without their edges": _without_edges}
    ways |= {"the best part of each space": _best_part}
    kept = {}
    for cut, way in ways.items():
        mask = np.ones(len(runs), dtype=bool)
        for space in spaces:
            part = way(space)
            if part is not None:
                mask[space.rows] = part
        if not mask.all():
            kept[cut] = mask
    return Cuts(kept)


@dataclass(frozen=True)
class _Space:
    """The draws of one optimizer, N runs.

    Attributes:
        optimizer: Name of the optimizer.
        rows: (all,): which runs of the panel they are.
        n: The budget.
        places: Hyperparameter that it searched -> (N,), in [0, 1]; see ``positions``.
        decades: (N,): log10 of the learning rate; NaN where there is none.
        scores: (N,): what the rule reads; of a lost run the lowest of the panel.
        first: (N,): whether a run is the first one of its configuration.
    """

    optimizer: str
    rows: Mask
    n: int
    places: Mapping[str, Array]
    decades: Array
    scores: Array
    first: Mask

    @property
    def least(self) -> int:
        """Draws that a part must hold."""
        return INDEPENDENT * self.n

    def worth(self, part: Mask) -> float:
        """Expected score of the best of n draws from a part; of equal parts the first is taken."""
        return round(expected_highest(self.scores[part], self.n), DIGITS)

    def best_window(self, x: Array, width: float, starts: Sequence[float]) -> Mask:
        """The best part of those between a start and start + width; wider where draws are few."""
        drawn = np.sort(x[self.first])
        windows = []
        for start in starts:
            low = min(start, drawn[-self.least])
            last = drawn[np.searchsorted(drawn, low) + self.least - 1]
            windows.append((low <= x) & (x <= max(low + width, last)))
        return max(windows, key=self.worth)


def _spaces(runs: pd.DataFrame, places: pd.DataFrame, column: str, n: int) -> list[_Space]:
    scores = runs[column].astype(float).where(runs["status"] == "completed")
    scores = scores.fillna(scores.min()).fillna(0.0)
    lr = runs.get(LEARNING_RATE, pd.Series(np.nan, index=runs.index)).astype(float)
    decades = np.log10(lr.where(lr > 0))
    first = ~places.assign(optimizer=runs["optimizer"]).duplicated()
    spaces = []
    for name in runs["optimizer"].unique():
        rows = (runs["optimizer"] == name).to_numpy()
        searched = places[rows].dropna(axis=1)
        arrays = {str(key): searched[key].to_numpy() for key in searched}
        each = (values[rows].to_numpy() for values in (decades, scores, first))
        spaces.append(_Space(str(name), rows, n, arrays, *each))
    return spaces


def _better_decade(space: _Space) -> Mask | None:
    x = space.decades
    if not np.isfinite(x).all() or np.ptp(x) <= 1:
        return None
    return space.best_window(x, 1.0, [*np.arange(x.min(), x.max() - 1, STEP), x.max() - 1])


def _better_half(space: _Space, name: str) -> Mask | None:
    return space.best_window(space.places[name], 0.5, (0.0, 0.5)) if name in space.places else None


def _without_edges(space: _Space) -> Mask | None:
    if not space.places:
        return None
    off_centre = np.max([np.abs(2 * x - 1) for x in space.places.values()], axis=0)
    enough = np.sort(off_centre[space.first])[space.least - 1]
    return np.asarray(off_centre <= max(1 - 2 * EDGE, enough))


def _best_part(space: _Space) -> Mask | None:
    """Peel the end of that range whose loss leaves the best part, until ``least`` draws remain.

    The patient rule induction method of Friedman and Fisher (1999), "Bump hunting in
    high-dimensional data".
    """
    if not space.places:
        return None
    part = np.ones(len(space.scores), dtype=bool)
    while True:
        draws = int((part & space.first).sum())
        off = min(max(1, int(PEEL * draws)), draws - space.least)
        smaller = []
        for x in space.places.values():
            drawn = np.sort(x[part & space.first])
            smaller += [part & (x >= drawn[off]), part & (x <= drawn[-1 - off])]
        # Of a grid several draws lie at one end: nothing goes, or too much.
        smaller = [one for one in smaller if space.least <= (one & space.first).sum() < draws]
        if not smaller:
            return part
        part = max(smaller, key=space.worth)
