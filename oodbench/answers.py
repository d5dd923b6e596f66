"""The predictions of runs for every scored example, and the right classes. No torch."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


def compressed(content: bytes) -> bytes:
    """The numbers, compressed for ``zlib.decompress``.

    Errors are scattered: to look for repeated pieces takes up to four times as long as to look for
    repeated bytes alone, and saves nothing.
    """
    packing = zlib.compressobj(strategy=zlib.Z_RLE)
    return packing.compress(content) + packing.flush()


@dataclass(frozen=True)
class ScoredSplit:
    """Examples that are scored together.

    Attributes:
        environment: Name of the environment; empty if the split is a published one.
        split: As in ``oodbench.records.Measurement``.
        role: As in ``oodbench.records.Measurement``.
        size: How many examples.
    """

    environment: str
    split: str
    role: str
    size: int


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """The M examples that runs are scored on, split after split, with the right answers.

    Attributes:
        source: Whose examples these are: datasets of one source call each by the same number.
        splits: Their sizes add up to M.
        labels: (M,) integers from 0 to num_classes - 1.
        examples: (M,) the number of each example within the source.
        num_classes: Size of the label set.
        groups: (M, m) the groups of each, as indices of ``group_names``; -1: none.
        group_names: Names of the groups that there may be.
    """

    source: str
    splits: tuple[ScoredSplit, ...]
    labels: NDArray[np.integer]
    examples: NDArray[np.int64]
    num_classes: int
    groups: NDArray[np.integer]
    group_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits that change with anything in it."""
        about = [self.source, [astuple(s) for s in self.splits], self.num_classes, self.group_names]
        digest = hashlib.sha256(repr(about).encode())
        for array in (self.labels, self.examples, self.groups):
            digest.update(np.ascontiguousarray(array, "<i8").tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type that holds the predicted classes."""
        return np.min_scalar_type(self.num_classes - 1).newbyteorder("<")

    def pack(self, predicted: NDArray[np.integer]) -> bytes:
        """(M,) predicted classes, compressed.

        They are kept as how far they are from the labels: zero where a prediction is right, which
        is mostly so.
        """
        off = (predicted.astype(np.int64) - self.labels) % self.num_classes
        return compressed(off.astype(self.dtype).tobytes())

    def unpack(self, packed: bytes) -> NDArray[np.integer]:
        """The inverse of ``pack``.

        Raises:
            ValueError: If these are no predictions of these examples.
        """
        try:
            off = np.frombuffer(zlib.decompress(packed), self.dtype)
        except zlib.error as error:
            raise ValueError(f"they cannot be decompressed: {error}") from error
        if len(off) != len(self):
            raise ValueError(f"they are of {len(off)} examples, not of {len(self)}")
        predicted = off.astype(np.int64) + self.labels
        predicted -= (predicted >= self.num_classes) * self.num_classes  # % is slow
        return predicted.astype(self.dtype)


@dataclass(frozen=True, eq=False)
class KeptPredictions:
    """What a run predicted.

    Attributes:
        key: Key of the examples.
        packed: Checkpoint (``last``, ``best_id_val``) -> its predictions, see ``AnswerKey.pack``;
            or, where these are many, their file: ``file`` (its name), ``sha256`` and ``bytes``.
    """

    key: AnswerKey
    packed: Mapping[str, bytes | Mapping[str, Any]]
