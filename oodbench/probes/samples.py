"""Some examples of each environment, in memory: what measuring a shift reads of a dataset."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data import Dataset, Rows, Split
from oodbench.data.columns import Standardised
from oodbench.data.on_demand import UnreadableError
from oodbench.errors import RequestError
from oodbench.probes.recording import ignore
from oodbench.records import OOD_TEST
from oodbench.seeds import stream

MEMORY = 2**30
"""Bytes that the examples may need."""
CHUNK = 256
"""Examples that are read at a time."""
SIGNS = 2.0
"""Seconds between two signs of progress."""
ID_ROLES = ("id_val", "id_test")


@dataclass(frozen=True)
class Examples:
    """Examples in memory.

    Attributes:
        inputs: (n, ...) array.
        labels: (n,) integers.
        of: How many they were drawn from.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    of: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Sampled:
    """Examples of one environment, or of one published split.

    Attributes:
        name: Name in the dataset.
        fit: Examples to train a classifier on; may be empty.
        unseen: Examples to measure on; none of them is in ``fit``. May be empty.
        apart: Whether it is on the test side or on none.
    """

    name: str
    fit: Examples
    unseen: Examples
    apart: bool


@dataclass(frozen=True)
class Sample:
    """Examples of all environments.

    Attributes:
        name: Name of the dataset.
        environments: Environments in the dataset's order; of published splits, training
            environments, then the ID examples, then each split that is out of distribution.
        num_classes: Number of classes of the labels.
        most: A part of which fewer examples were drawn than it has, has so many.
    """

    name: str
    environments: tuple[Sampled, ...]
    num_classes: int
    most: int

    @property
    def apart(self) -> tuple[int, ...]:
        """Indices of the environments that are on no training side."""
        return tuple(i for i, one in enumerate(self.environments) if one.apart)


@dataclass(frozen=True)
class _Place:
    """The splits of a ``Sampled``."""

    name: str
    fit: tuple[Split, ...]
    unseen: tuple[Split, ...]
    apart: bool = False


def sample_of(
    dataset: Dataset,
    most: int,
    *,
    seed: int = 0,
    memory: int = MEMORY,
    tell: Callable[[str], None] = ignore,
) -> Sample:
    """Draw examples of each environment, and read them in pieces.

    All are taken where they fit; else equally many of each environment's larger parts, at random.
    What has only training examples, or none of them, is dealt into two halves: one to train on.
    Columns of a table are standardised by the examples to train on.

    Args:
        dataset: What it stores is read where it is drawn, and nothing else.
        most: Examples of an environment to train on, and others; of arrays, which cost nothing to
            read, as many as fit.
        seed: Seed of the draws.
        memory: Bytes that all of them may need, as the dataset stores them.
        tell: Called with a line every other second of reading.

    Raises:
        RequestError: If the dataset has published splits and none is out of distribution, or a file
            cannot be read.
    """
    places = list(_places(dataset, seed))
    sizes = [sum(map(len, part)) for place in places for part in (place.fit, place.unseen)]
    each = prod(dataset.input_shape) * next(iter(places[0].fit)).inputs.dtype.itemsize
    splits = [split for place in places for split in (*place.fit, *place.unseen)]
    wanted = max(sizes) if all(map(_is_array, splits)) else most
    most = min(wanted, shared(sizes, max(memory // each, len(sizes))))
    reading = _Reading(dataset.name, most, seed, sum(min(size, most) for size in sizes), tell)
    sampled = [
        Sampled(
            place.name,
            reading.examples(place.fit, place.name, "fit"),
            reading.examples(place.unseen, place.name, "unseen"),
            place.apart,
        )
        for place in places
    ]
    if dataset.columns is not None:
        taken = Standardised.of(
            dataset.columns, [one.fit.inputs for one in sampled if not one.apart and len(one.fit)]
        )
        sampled = [
            replace(one, fit=_changed(one.fit, taken), unseen=_changed(one.unseen, taken))
            for one in sampled
        ]
    return Sample(dataset.name, tuple(sampled), dataset.num_classes, most)


def _is_array(split: Split) -> bool:
    inputs = split.inputs
    return isinstance(inputs.stored if isinstance(inputs, Rows) else inputs, np.ndarray)


def shared(sizes: Sequence[int], total: int) -> int:
    """The most of each size that may be taken, so that no more than a total is taken of all."""
    left = total
    for taken, size in enumerate(sorted(sizes)):
        most = left // (len(sizes) - taken)
        if size > most:
            return most
        left -= size
    return max(sizes)


def _places(dataset: Dataset, seed: int) -> Iterator[_Place]:
    """What is trained on and what is not, of each environment or published split."""
    trained = [given.split for given in dataset.published if given.role in ID_ROLES]
    for environment in dataset.environments:
        fit = tuple(split for name, split in environment.splits.items() if name == "train")
        unseen = tuple(split for name, split in environment.splits.items() if name != "train")
        if not trained and not (fit and unseen):
            fit, unseen = _dealt(reduce(add, (*fit, *unseen)), seed, environment.name)
        yield _Place(environment.name, fit, unseen, bool(environment.apart))
    if not dataset.published:
        return
    if trained:
        yield _Place("in distribution", (), tuple(trained))
    apart = [given for given in dataset.published if given.role == OOD_TEST]
    if not apart:
        raise RequestError(
            f"{dataset.name}: none of its published splits is out of distribution but for the "
            "shares of its groups. That is subpopulation shift, which is not measured."
        )
    for given in apart:
        yield _Place(given.name, *_dealt(given.split, seed, given.name), apart=True)


def _dealt(split: Split, seed: int, name: str) -> tuple[tuple[Split, ...], tuple[Split, ...]]:
    """The examples in two halves, at random."""
    order = stream(seed, "sample", "dealt", name).permutation(len(split))
    inputs = split.inputs
    halves = []
    for rows in (np.sort(order[len(order) // 2 :]), np.sort(order[: len(order) // 2])):
        some = Rows(inputs.stored, inputs.rows[rows]) if isinstance(inputs, Rows) else inputs[rows]
        halves.append((Split(some, split.labels[rows]),))
    return halves[0], halves[1]


def _changed(examples: Examples, taken: Standardised) -> Examples:
    return replace(examples, inputs=taken(examples.inputs))


class _Reading:
    """Reads the examples of one part after another.

    Args:
        name: Name of the dataset.
        most: Examples of a part.
        seed: Seed of the choice of examples.
        total: How many will be read.
        tell: Called with a line every other second.
    """

    def __init__(
        self, name: str, most: int, seed: int, total: int, tell: Callable[[str], None]
    ) -> None:
        self._name, self._most, self._seed = name, most, seed
        self._total, self._tell = total, tell
        self._done, self._shown = 0, time.monotonic()

    def examples(self, splits: Sequence[Split], environment: str, part: str) -> Examples:
        """Draw at most so many examples of some splits."""
        ends = np.cumsum([0, *map(len, splits)])
        chosen = np.arange(ends[-1])
        if len(chosen) > self._most:
            draws = stream(self._seed, "sample", environment, part)
            chosen = np.sort(draws.permutation(len(chosen))[: self._most])
        like = splits[0].inputs if splits else np.empty(0)
        inputs = np.empty((len(chosen), *like.shape[1:]), like.dtype)
        labels, n = np.empty(len(chosen), np.int64), 0
        for split, start, end in zip(splits, ends, ends[1:], strict=False):
            rows = chosen[(start <= chosen) & (chosen < end)] - start
            for at in range(0, len(rows), CHUNK):
                found, there = _read(split.inputs, rows[at : at + CHUNK])
                now = slice(n, n + len(there))
                inputs[now], labels[now] = found, split.labels[there]
                n += len(there)
                self._advance(len(rows[at : at + CHUNK]))
        return Examples(inputs[:n], labels[:n], int(ends[-1]))

    def _advance(self, done: int) -> None:
        self._done += done
        if time.monotonic() - self._shown >= SIGNS:
            self._shown = time.monotonic()
            self._tell(f"{self._name}: read {self._done:,} of {self._total:,} examples")


def _read(
    inputs: NDArray[Any] | Rows, rows: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Some of the inputs, and which they are; what is to be skipped is not among them."""
    try:
        return np.asarray(inputs[rows]), rows
    except UnreadableError as error:
        if not error.skip:
            raise
        rows = np.delete(rows, error.places)
        return np.asarray(inputs[rows]), rows
