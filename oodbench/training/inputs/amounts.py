"""What augmentation does to each image of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Amounts:
    """What is done to each of n images: one row each.

    Attributes:
        crop: (n, 4) top, left, height and width, in pixels; or (n, 2) top and left of a part of the
            images' own size, which is black where it reaches beyond them.
        flip: (n,) whether it is mirrored.
        factors: (n, 4) of brightness, contrast and saturation, and the turn of hue; or (n, 0).
        order: (n, 4) which of these comes first, second, third and last; or (n, 0).
        grey: (n,) whether it becomes grey.
    """

    crop: NDArray[np.float64]
    flip: NDArray[np.bool_]
    factors: NDArray[np.float64]
    order: NDArray[np.int64]
    grey: NDArray[np.bool_]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Amounts":
        return Amounts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.flip)


def joined(parts: Sequence[Amounts]) -> Amounts:
    """The amounts of all images, one part after the other."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Amounts))
    return Amounts(*map(np.concatenate, columns))
