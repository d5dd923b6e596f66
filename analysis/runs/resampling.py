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
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.records import OOD_TEST
from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn
from oodbench.results.targets import TARGET

from ..stats.best_of import RESAMPLES
from ..stats.intervals import Array
from .draws import draw_codes

BLOCK = 50
"""Resamples at once."""

MOST_OF_EXAMPLES = 100
"""Resamples of examples, at most: their part of a variance is mostly the smaller one, and takes as
long to find as that of draws."""

DRAWS, EXAMPLES, ANSWERS = WAYS = ("draws", "examples", "answers")
"""What is resampled: draws, examples for all runs at once, or the answers of each run by itself."""

ROLES: Mapping[str, str] = {
    **{role: role for role in ("id_val", "id_test", "ood_val", "ood_test", "oracle_val")},
    "worst_group_val": "id_val",
    "ood": OOD_TEST,
}
"""Column of a table of runs -> the role of the examples that it is the accuracy on."""

KEPT = 6
"""Roles of panels whose accuracies are at hand: the cuts of one panel ask for the same."""

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
class _Known:
    """Resampled accuracies of some of the runs that are asked for.

    Attributes:
        places: (n,) which of them.
        on_examples: (resamples, n), each example with one weight for all runs.
        answered_anew: (resamples, n), each run by itself.
    """

    places: NDArray[np.int64]
    on_examples: Array
    answered_anew: Array


_ACCURACIES: "WeakKeyDictionary[Predictions, dict[Any, tuple[Array, Array, Array]]]" = (
    WeakKeyDictionary()
)
"""A cache for each set of predictions, for as long as it is there: what takes longest, and is asked
for by return curves and comparisons alike."""


class Resampling:
    """The weights of draws and examples, for any runs of a table.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        predictions: What these runs predicted, as far as it is known.
        resamples: How many of the draws; of the examples as many, up to ``MOST_OF_EXAMPLES``.
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
        self._most = resamples
        self._of_sources: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._last: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[_Known]] = {}
        self._runs = pd.Index([run for one in self._predictions for run in one.runs], dtype=object)
        self._places = np.array(
            [(i, k) for i, one in enumerate(self._predictions) for k in range(len(one.runs))],
            dtype=np.int64,
        ).reshape(-1, 2)
        for one in self._predictions:
            number = self._sources.setdefault(one.source, len(self._sources))
            most = int(one.examples["example"].max()) + 1
            if number == len(self._sizes):
                self._sizes.append(0)
            self._sizes[number] = max(self._sizes[number], most)

    def first(self, resamples: int) -> "Resampling":
        """The weights of only the first resamples."""
        fewer = copy(self)
        fewer.resamples = min(resamples, self.resamples)
        return fewer

    def of_draws(self) -> "Resampling":
        """The weights of the draws alone, without those of examples."""
        alone = copy(self)
        alone._predictions = []
        return alone

    def draws_of(self, runs: pd.DataFrame) -> NDArray[np.int64]:
        """(N,) which draw each run is of: its column ``draw``, if there is one."""
        found = runs["draw"] if "draw" in runs.columns else runs["run"].map(self._draw)
        return found.to_numpy(dtype=np.int64)

    @property
    def ways(self) -> Mapping[str, slice]:
        """What is resampled -> which rows of all that ``of`` yields; row 0 is of the data."""
        start, found = 1, {}
        for name in WAYS if self._predictions else (DRAWS,):
            end = start + (self.resamples if name == DRAWS else self._of_examples)
            found[name] = slice(start, end)
            start = end
        return found

    @property
    def _of_examples(self) -> int:
        return min(self.resamples, MOST_OF_EXAMPLES)

    def covers(self, runs: pd.DataFrame, columns: Sequence[str]) -> bool:
        """Whether the examples behind these columns are known for every run that completed."""
        completed = np.flatnonzero(runs["status"] == "completed")
        for column in columns:
            known = [one.places for one in self._known(runs, _role(column, runs))]
            if not np.isin(completed, np.concatenate([*known, []])).all():
                return False
        return bool(len(completed))

    def of(self, runs: pd.DataFrame, columns: Sequence[str]) -> Iterator[Resample]:
        """The runs as they are (the first row of the first ``Resample``), then resampled.

        Args:
            runs: Rows of the table.
            columns: Scores that are wanted; see ``ROLES``.
        """
        codes = self.draws_of(runs)
        once = np.ones((1, len(runs)))
        table = {name: runs[name].to_numpy(dtype=float)[None, :] for name in columns}
        for number, rows in _blocks(self.resamples):
            weights = self._draw_weights(number)[: rows.stop - rows.start, codes]
            as_they_are = once if number == 0 else once[:0]
            yield Resample(np.concatenate([as_they_are, weights]), table, rows.start)
        if not self._predictions:
            return
        known = {name: self._known(runs, _role(name, runs)) for name in columns}
        for way in (EXAMPLES, ANSWERS):
            for _, rows in _blocks(self._of_examples):
                scores = {name: _filled(table[name], known[name], way, rows) for name in columns}
                weights = np.broadcast_to(once, (rows.stop - rows.start, len(runs)))
                yield Resample(weights, scores, rows.start)

    def _draw_weights(self, block: int) -> Array:
        """(``BLOCK``, draws): how often each draw is there."""
        rng = np.random.default_rng([self.seed, block])
        drawn_ones = rng.integers(self._draws, size=(BLOCK, self._draws))
        flat = drawn_ones + self._draws * np.arange(BLOCK)[:, None]
        counts = np.bincount(flat.ravel(), minlength=BLOCK * self._draws)
        return counts.reshape(BLOCK, self._draws).astype(float)

    def _example_weights(self, block: int, source: int) -> NDArray[np.float32]:
        """(``BLOCK``, examples of the source), of mean and variance 1."""
        if (block, source) not in self._of_sources:
            rng = np.random.default_rng([self.seed, block, 1 + source])
            drawn_ones = rng.poisson(1.0, (BLOCK, self._sizes[source]))
            self._of_sources[block, source] = drawn_ones.astype(np.float32)
        return self._of_sources[block, source]

    def _known(self, runs: pd.DataFrame, role: str) -> list[_Known]:
        """The accuracies of these runs in a role, where predictions give those of the table."""
        if role not in ROLES or not self._predictions:
            return []
        key = role, tuple(runs["run"]), tuple(_targets(runs, role))
        if key not in self._last:
            while len(self._last) >= KEPT:
                self._last.pop(next(iter(self._last)))
            self._last[key] = self._found(runs, role)
        return self._last[key]

    def _found(self, runs: pd.DataFrame, role: str) -> list[_Known]:
        values = runs[role].to_numpy(dtype=float)
        rows = self._runs.get_indexer(pd.Index(runs["run"], dtype=object))
        number, place = np.where(rows[:, None] >= 0, self._places[rows], -1).T
        targets, found = _targets(runs, role), []
        asked = sorted({(n, target) for n, target in zip(number, targets, strict=True) if n >= 0})
        for each, target in asked:
            as_is, on_examples, anew = self._accuracies(self._predictions[each], role, target)
            mine = np.flatnonzero((number == each) & (targets == target))
            mine = mine[np.abs(as_is[place[mine]] - values[mine]) < SAME]
            if len(mine):
                found.append(_Known(mine, on_examples[:, place[mine]], anew[:, place[mine]]))
        return found

    def _accuracies(self, one: Predictions, role: str, target: str) -> tuple[Array, Array, Array]:
        """(runs,) as they are, and (resamples, runs) in both ways; NaN for a role that is not."""
        source = self._sources[one.source]
        kept = _ACCURACIES.setdefault(one, {})
        key = role, target, source, self._sizes[source], self.seed, self._most
        if key not in kept:
            answers = _answers(one, ROLES[role], target)
            if not answers:
                nothing = np.full(len(one.runs), np.nan)
                return nothing, nothing[None], nothing[None]
            blocks = range(-(-min(self._most, MOST_OF_EXAMPLES) // BLOCK))
            place = f"{one.dataset}/{one.test_environments}/{one.data_seed}/{role}"
            place += f"/{target}" * bool(target)
            stream = [self.seed, zlib.crc32(place.encode())]
            weights = (self._example_weights(number, source) for number in blocks)
            anew = (np.random.default_rng([*stream, number]) for number in blocks)
            kept[key] = (
                combined(role, [right.mean(axis=1) for _, right in answers]),
                np.concatenate([_weighed(role, answers, each) for each in weights]),
                np.concatenate([_answered_anew(role, answers, rng) for rng in anew]),
            )
        return kept[key]


def _blocks(resamples: int) -> Iterator[tuple[int, slice]]:
    """The number of each block, and which resamples it holds."""
    for number, start in enumerate(range(0, resamples, BLOCK)):
        yield number, slice(start, min(start + BLOCK, resamples))


Answers = Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Each environment's example numbers, and (runs, examples) of 0 and 1."""


def _targets(runs: pd.DataFrame, role: str) -> NDArray[np.object_]:
    """(N,) the target that each row's score of a role is on; empty: on all that have the role."""
    named = runs[TARGET] if TARGET in runs.columns and ROLES[role] == OOD_TEST else None
    if named is None:
        return np.full(len(runs), "", dtype=object)
    return named.fillna("").to_numpy(dtype=object)


def _answers(one: Predictions, role: str, target: str) -> Answers:
    """Whether each run is right on each example of a role, or of one target."""
    shown = (one.examples["role"] == role).to_numpy()
    if target:
        shown = shown & (one.examples["environment"] == target).to_numpy()
    columns = ("environment", "example", "label")
    environment, example, label = (one.examples[name].to_numpy()[shown] for name in columns)
    right = (one.predicted[:, shown] == label).astype(np.float32)
    return [
        (example[environment == name].astype(np.int64), right[:, environment == name])
        for name in pd.unique(environment)
    ]


def _weighed(role: str, answers: Answers, weights: NDArray[np.float32]) -> Array:
    """(``BLOCK``, runs) accuracies under the weights (``BLOCK``, examples of the source)."""
    found = []
    for examples, right in answers:
        mine = weights[:, examples]
        found.append((mine @ right.T) / mine.sum(axis=1, keepdims=True))
    return combined(role, found)


def _answered_anew(role: str, answers: Answers, rng: np.random.Generator) -> Array:
    """(``BLOCK``, runs): what as many answers of each run by itself give, by the normal law."""
    found = []
    for examples, right in answers:
        p = right.mean(axis=1)
        error = np.sqrt(p * (1 - p) / len(examples))
        noise = rng.standard_normal((BLOCK, len(p)), dtype=np.float32)
        found.append(np.clip(p + error * noise, 0, 1))
    return combined(role, found)


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


def _filled(table: Array, known: Sequence[_Known], way: str, rows: slice) -> Array:
    """(resamples, N) scores; (1, N) as they are in the table where no answers are known."""
    if not known:
        return table
    scores = np.repeat(table, rows.stop - rows.start, axis=0)
    for one in known:
        accuracies = one.on_examples if way == EXAMPLES else one.answered_anew
        scores[:, one.places] = accuracies[rows]
    return scores
