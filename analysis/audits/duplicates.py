"""Test examples that are training examples, or nearly so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodbench.errors import RequestError

NEAR = 0.999
"""Two examples are near each other from this correlation of their inputs on: centred by the mean
training example, and cosine."""

MOST = 2_000
"""Test examples that are looked at for near ones, at most: of more, as many at random."""

BLOCK = 1_000


@dataclass(frozen=True)
class Duplicates:
    """Examples of a test set that are in the training set as well.

    Attributes:
        n: Test examples.
        trained: Training examples.
        same: Test examples whose inputs equal those of a training example.
        of_other_label: Of these, those that have another label there.
        compared: Test examples that were compared with all training examples.
        near: Of these, the ones that are near one; see ``NEAR``.
        closest: The median correlation with the nearest training example.
    """

    n: int
    trained: int
    same: int
    of_other_label: int
    compared: int
    near: int
    closest: float


def duplicates(
    trained: ArrayLike,
    trained_labels: ArrayLike,
    tested: ArrayLike,
    tested_labels: ArrayLike,
    seed: int = 0,
) -> Duplicates:
    """Look for each test example among the training examples.

    Args:
        trained, tested: (n, ...) inputs, as a model takes them.
        trained_labels, tested_labels: (n,) integers.
        seed: Seed of the choice of test examples, where there are many.

    Raises:
        RequestError: The examples differ in shape.
    """
    ours, theirs = (_flat(given) for given in (trained, tested))
    if ours.shape[1] != theirs.shape[1] or not len(ours) or not len(theirs):
        raise RequestError(
            f"Training examples of {ours.shape[1]} numbers ({len(ours)}) cannot be compared with "
            f"test examples of {theirs.shape[1]} ({len(theirs)}). Pass both as a model takes them."
        )
    labels: dict[bytes, set[int]] = {}
    for row, label in zip(ours, np.asarray(trained_labels).tolist(), strict=True):
        labels.setdefault(row.tobytes(), set()).add(label)
    found = [labels.get(row.tobytes()) for row in theirs]
    other = [
        there is not None and label not in there
        for there, label in zip(found, np.asarray(tested_labels).tolist(), strict=True)
    ]
    chosen = np.random.default_rng([seed, 4]).permutation(len(theirs))[:MOST]
    nearest = _nearest(ours, theirs[np.sort(chosen)])
    return Duplicates(
        len(theirs),
        len(ours),
        sum(there is not None for there in found),
        sum(other),
        len(nearest),
        int((nearest >= NEAR).sum()),
        float(np.median(nearest)),
    )


def _flat(given: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(given, np.float32)
    return np.ascontiguousarray(values.reshape(len(values), -1)) + np.float32(0)  # -0 is 0


def _nearest(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) the highest correlation of each of theirs with any of ours."""
    mean = ours.mean(axis=0)
    target = _unit(theirs - mean)
    best = np.full(len(theirs), -1, np.float32)
    for start in range(0, len(ours), BLOCK):
        there = _unit(ours[start : start + BLOCK] - mean)
        best = np.maximum(best, (target @ there.T).max(axis=1))
    return best


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-30), np.float32)
