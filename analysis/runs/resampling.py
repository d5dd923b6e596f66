"""Resampling what is random, jointly: the draws of a search, and the examples.

The same draw i serves every optimizer, task and algorithm, and the same test example is shown to
every model, in several environments too. So each draw has one weight, and each example has one,
which go wherever the draw or the example does; a difference of two optimizers then knows what they
share. Weights depend on the seed and the number of the resample alone, so that panels which are
resampled one after the other are resampled together.

The variance of a number that rests on runs crossed with examples is that over draws, plus that over
examples, minus that of single answers, which both of them hold (Cameron, Gelbach and Miller 2011,
"Robust Inference With Multiway Clustering"). Weights of draws times weights of examples in one
bootstrap (Owen 2007, "The Pigeonhole Bootstrap") would count the last one three times.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn

from ..stats.best_of import RESAMPLES
from ..stats.intervals import Array
from .draws import draw_codes

BLOCK = 50
"""Resamples at once."""

DRAWS, EXAMPLES, ANSWERS = WAYS = ("draws", "examples", "answers")
"""What is resampled: draws, examples for all runs at once, or the answers of each run by itself."""

ROLES: Mapping[str, str] = {
    **{role: role for role in ("id_val", "id_test", "ood_val", "ood_test", "oracle_val")},
    "worst_group_val": "id_val",
    "ood": "ood_test",
}
"""Column of a table of runs -> the role of the examples that it is the accuracy on."""

SAME = 1e-6
"""An accuracy of stored predictions that differs by more from the one in the table is of another
checkpoint or metric."""


@dataclass(frozen=True)
class Resample:
    """Some resamples of runs.

    Attributes:
        weights: (R, N): how often each run's draw is there.
        scores: Column -> (R, N) scores on the resampled examples, or (1, N) as they are in the
            table.
        start: How many resamples of its way came before.
    """

    weights: Array
    scores: Mapping[str, Array]
    start: int = 0


@dataclass(frozen=True)
class _Sheet:
    """The answers of some runs on the examples of one role in one environment.

    Attributes:
        places: (n,) of these runs.
        source: Number of the examples' source.
        examples: (M,) numbers of the examples within it.
        right: (n, M) of 0 and 1.
    """

    places: NDArray[np.int64]
    source: int
    examples: NDArray[np.int64]
    right: NDArray[np.float32]

    def accuracy(self, weights: Mapping[int, NDArray[np.float32]]) -> Array:
        """(R, n) under the weights (R, examples of the source) of each source."""
        mine = weights[self.source][:, self.examples]
        found: Array = (mine @ self.right.T) / mine.sum(axis=1, keepdims=True)
        return found

    def answered_anew(self, rng: np.random.Generator) -> Array:
        """(``BLOCK``, n): what as many answers give, drawn for each run by itself."""
        n, p = self.right.shape[1], np.clip(self.right.mean(axis=1, dtype=float), 0, 1)
        found: Array = rng.binomial(n, p, size=(BLOCK, len(p))) / n
        return found


class Resampling:
    """The weights of draws and examples, for any runs of a table.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        predictions: What these runs predicted, as far as it is known.
        resamples: How many, of the draws and of the examples each.
        seed: Decides them.
    """

    def __init__(
        self,
        pairs: pd.DataFrame,
        predictions: Sequence[Predictions] = (),
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        runs = drawn(pairs)
        codes = draw_codes(runs)
        self.resamples, self.seed = resamples, seed
        self._draw = dict(zip(runs["run"], codes, strict=True))
        self._draws = int(codes.max(initial=0)) + 1
        self._sources: dict[str, int] = {}
        self._sizes: list[int] = []
        self._predictions = [one for one in predictions if len(one.examples)]
        self._right: dict[tuple[int, str], list[Any]] = {}
        for one in self._predictions:
            number = self._sources.setdefault(one.source, len(self._sources))
            most = int(one.examples["example"].max()) + 1
            if number == len(self._sizes):
                self._sizes.append(0)
            self._sizes[number] = max(self._sizes[number], most)

    def first(self, resamples: int) -> "Resampling":
        """The same weights, of the first resamples alone."""
        fewer = copy(self)
        fewer.resamples = min(resamples, self.resamples)
        return fewer

    def draws_of(self, runs: pd.DataFrame) -> NDArray[np.int64]:
        """(N,) which draw each run is of: its column ``draw``, if there is one."""
        found = runs["draw"] if "draw" in runs.columns else runs["run"].map(self._draw)
        return found.to_numpy(dtype=np.int64)

    @property
    def ways(self) -> Mapping[str, slice]:
        """What is resampled -> which rows of all that ``of`` yields; row 0 is of the data."""
        names = WAYS if self._predictions else (DRAWS,)
        return {
            name: slice(1 + i * self.resamples, 1 + (i + 1) * self.resamples)
            for i, name in enumerate(names)
        }

    def covers(self, runs: pd.DataFrame, columns: Sequence[str]) -> bool:
        """Whether the examples behind these columns are known for every run that completed."""
        completed = np.flatnonzero(runs["status"] == "completed")
        for column in columns:
            groups = self._sheets(runs, _role(column, runs))
            known = {int(place) for group in groups for place in group[0].places}
            if not known.issuperset(completed.tolist()):
                return False
        return bool(len(completed))

    def of(self, runs: pd.DataFrame, columns: Sequence[str]) -> Iterator[Resample]:
        """The runs as they are (a first ``Resample`` of one row), then resampled in each way.

        Args:
            runs: Rows of the table.
            columns: Scores that are wanted; see ``ROLES``.
        """
        codes = self.draws_of(runs)
        once = np.ones((1, len(runs)))
        table = {name: runs[name].to_numpy(dtype=float)[None, :] for name in columns}
        yield Resample(once, table)
        for number, size in self._blocks():
            yield Resample(self._draw_weights(number)[:size][:, codes], table, number * BLOCK)
        if not self._predictions:
            return
        roles = {name: _role(name, runs) for name in columns}
        sheets = {role: self._sheets(runs, role) for role in set(roles.values())}
        used = {group[0].source for groups in sheets.values() for group in groups}
        for number, size in self._blocks():
            weights = {source: self._example_weights(number, source) for source in used}
            found = {
                role: [combined(role, [one.accuracy(weights) for one in group]) for group in groups]
                for role, groups in sheets.items()
            }
            scores = {name: _filled(table[name], sheets[r], found[r]) for name, r in roles.items()}
            yield _cut(Resample(once, scores, number * BLOCK), size)
        panel = zlib.crc32("".join(map(str, runs["run"])).encode())
        for number, size in self._blocks():
            rng = np.random.default_rng([self.seed, number, panel])
            found = {
                role: [
                    combined(role, [one.answered_anew(rng) for one in group]) for group in groups
                ]
                for role, groups in sorted(sheets.items())
            }
            scores = {name: _filled(table[name], sheets[r], found[r]) for name, r in roles.items()}
            yield _cut(Resample(once, scores, number * BLOCK), size)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """The number of each block, and how many resamples of it count."""
        for number, start in enumerate(range(0, self.resamples, BLOCK)):
            yield number, min(BLOCK, self.resamples - start)

    def _draw_weights(self, block: int) -> Array:
        """(``BLOCK``, draws): how often each draw is there."""
        rng = np.random.default_rng([self.seed, block])
        drawn_ones = rng.integers(self._draws, size=(BLOCK, self._draws))
        flat = drawn_ones + self._draws * np.arange(BLOCK)[:, None]
        counts = np.bincount(flat.ravel(), minlength=BLOCK * self._draws)
        return counts.reshape(BLOCK, self._draws).astype(float)

    def _example_weights(self, block: int, source: int) -> NDArray[np.float32]:
        """(``BLOCK``, examples of the source), of mean and variance 1."""
        rng = np.random.default_rng([self.seed, block, 1 + source])
        return rng.poisson(1.0, (BLOCK, self._sizes[source])).astype(np.float32)

    def _sheets(self, runs: pd.DataFrame, role: str) -> list[list[_Sheet]]:
        """Of each set of predictions: a sheet an environment, if they give the table's scores."""
        if role not in ROLES:
            return []
        place = {run: i for i, run in enumerate(runs["run"])}
        values = runs[role].to_numpy(dtype=float)
        found = []
        for one in self._predictions:
            rows = [i for i, run in enumerate(one.runs) if run in place]
            if not rows:
                continue
            places = np.array([place[one.runs[i]] for i in rows], dtype=np.int64)
            group = [
                _Sheet(places, self._sources[one.source], examples, right[rows])
                for examples, right in self._answers(one, ROLES[role])
            ]
            if not group:
                continue
            same = np.abs(combined(role, [g.right.mean(axis=1) for g in group]) - values[places])
            kept = same < SAME
            if kept.any():
                found.append([replace(g, places=places[kept], right=g.right[kept]) for g in group])
        return found

    def _answers(
        self, one: Predictions, role: str
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Of each environment: the examples of a role, and (runs, examples) of 0 and 1."""
        key = id(one), role
        if key not in self._right:
            shown = (one.examples["role"] == role).to_numpy()
            columns = ("environment", "example", "label")
            environment, example, label = (one.examples[name].to_numpy()[shown] for name in columns)
            right = (one.predicted[:, shown] == label).astype(np.float32)
            self._right[key] = [
                (example[environment == name].astype(np.int64), right[:, environment == name])
                for name in pd.unique(environment)
            ]
        return self._right[key]


def combined(role: str, accuracies: Sequence[Array]) -> Array:
    """The accuracies of several environments as one: the mean, or the lowest."""
    combine = np.min if role == "worst_group_val" else np.mean
    found: Array = combine(accuracies, axis=0)
    return found


def _role(column: str, runs: pd.DataFrame) -> str:
    """The column itself; for ``id`` the one that it repeats: ``id_test``, else ``id_val``."""
    known = [
        name for name in ("id_test", "id_val") if name in runs.columns and runs[name].notna().any()
    ]
    return known[0] if column == "id" and known else column


def _filled(table: Array, sheets: Sequence[Sequence[_Sheet]], found: Sequence[Array]) -> Array:
    """(``BLOCK``, N) scores; (1, N) as they are in the table where no answers are known."""
    if not sheets:
        return table
    scores = np.repeat(table, BLOCK, axis=0)
    for group, accuracies in zip(sheets, found, strict=True):
        scores[:, group[0].places] = accuracies
    return scores


def _cut(one: Resample, size: int) -> Resample:
    """Its first rows, each with weights of its own."""
    weights = np.broadcast_to(one.weights, (size, one.weights.shape[1]))
    scores = {name: score[:size] for name, score in one.scores.items()}
    return Resample(weights, scores, one.start)
