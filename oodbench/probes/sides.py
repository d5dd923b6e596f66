"""Examples of the training environments and of the test environments, without label shift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.errors import RequestError
from oodbench.probes.samples import Examples, Sample, Sampled

Sides = tuple["Side", "Side"]
"""P, the training environments, and Q, the test environments."""


@dataclass(frozen=True)
class Side:
    """Examples of the training environments, or of the test environments."""

    inputs: Tensor
    labels: Tensor

    def __getitem__(self, which: NDArray[np.int64]) -> "Side":
        index = torch.from_numpy(which).to(self.labels.device)
        return Side(self.inputs[index], self.labels[index])


def drawn(
    sample: Sample,
    tested: tuple[int, ...],
    most: int,
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[Sides, Sides]:
    """Examples of both sides to train on, and others to measure on, at random.

    Of those to train on, each class has equally many on either side.

    Args:
        sample: Examples of the dataset.
        tested: Indices of its environments on the side Q; on the side P are the others that are not
            apart, each with the share of its examples in the dataset.
        most: Examples a side.
        rng: Draws them.
        device: The device they are put on.

    Raises:
        RequestError: If a side has no examples, or the two share no class.
    """
    sides = _sides(sample, tested)
    most = min(most, sample.most)
    fit = _drawn(sample, [[one.fit for one in side] for side in sides], most, rng, device)
    unseen = _drawn(sample, [[one.unseen for one in side] for side in sides], most, rng, device)
    return _without_label_shift(*fit, rng), unseen


def _sides(sample: Sample, tested: tuple[int, ...]) -> tuple[list[Sampled], list[Sampled]]:
    """The environments on the side P, and those on the side Q."""
    environments = sample.environments
    p = [one for i, one in enumerate(environments) if i not in tested and not one.apart]
    return p, [environments[i] for i in sorted(tested)]


def _drawn(
    sample: Sample,
    sides: Sequence[Sequence[Examples]],
    most: int,
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[Side, Side]:
    """At most ``most`` examples of each side, at random."""
    p, q = (_side(parts, most, rng, device) for parts in sides)
    if not (len(p.labels) and len(q.labels)):
        raise RequestError(
            f"{sample.name}: a side has no examples to train on and others to measure on. Name "
            "test environments that have two examples or more, and leave some to the other side."
        )
    return p, q


def _side(
    parts: Sequence[Examples], most: int, rng: np.random.Generator, device: torch.device
) -> Side:
    """Each part has the share that it has of all examples that there are."""
    ends = np.cumsum([0, *(part.of for part in parts)])
    kept = np.sort(rng.permutation(int(ends[-1]))[:most])
    inputs, labels = [], []
    for part, start, end in zip(parts, ends, ends[1:], strict=False):
        rows = kept[(start <= kept) & (kept < end)] - start
        if len(part) < part.of:
            rows = np.sort(rng.permutation(len(part))[: len(rows)])
        if len(rows):
            inputs.append(part.inputs[rows])
            labels.append(part.labels[rows])
    if not labels:
        return Side(torch.empty(0), torch.empty(0))
    tensors = (torch.from_numpy(np.concatenate(arrays)) for arrays in (inputs, labels))
    return Side(*(tensor.to(device) for tensor in tensors))


def _without_label_shift(p: Side, q: Side, rng: np.random.Generator) -> tuple[Side, Side]:
    """Equally many examples of each class on either side, drawn at random."""
    labels = [side.labels.cpu().numpy() for side in (p, q)]
    kept: list[list[NDArray[np.int64]]] = [[], []]
    for label in np.intersect1d(labels[0], labels[1]):
        both = [np.flatnonzero(of_side == label) for of_side in labels]
        n = min(map(len, both))
        for chosen, which in zip(kept, both, strict=True):
            chosen.append(rng.choice(which, n, replace=False))
    if not kept[0]:
        raise RequestError("Training and test environments share no class: there is no shift.")
    return p[np.concatenate(kept[0])], q[np.concatenate(kept[1])]
