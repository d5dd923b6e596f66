"""Images of one size from several arrays, as one array that is read where it is indexed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data import Rows
from oodbench.data.on_demand import UnreadableError


@dataclass(frozen=True, eq=False)
class JoinedImages:
    """What can be read like one (n, 3, size, size) array of the images of all parts.

    Attributes:
        parts: Each (n_i, 3, height, height) bytes, as a rule mapped from a file.
        size: Height and width that those of another size are brought to, bilinearly.
    """

    parts: tuple[Rows, ...]
    size: int

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where the images of each part begin, and the end of the last."""
        return np.cumsum([0, *map(len, self.parts)])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (n, 3, size, size) of the images."""
        return (len(self), 3, self.size, self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one number."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        """The pixels of the image or the images with these indices."""
        numbers = isinstance(which, np.ndarray) and which.dtype.kind in "iu"
        rows = which if numbers else np.arange(len(self))[which]
        flat = rows.reshape(-1)
        pixels = np.empty((flat.size, *self.shape[1:]), np.uint8)
        owner = np.searchsorted(self.starts, flat, side="right") - 1
        for number in np.unique(owner):
            mine = np.flatnonzero(owner == number)
            try:
                found = self.parts[number][flat[mine] - self.starts[number]]
            except UnreadableError as error:
                raise UnreadableError(str(error), mine[error.places], error.skip) from None
            pixels[mine] = resized(found, self.size)
        return pixels.reshape(*rows.shape, *self.shape[1:])


def resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(n, 3, height, height) images at another size, as ``read_image`` resizes files."""
    if images.shape[-1] == size:
        return images
    from PIL import Image

    result = np.empty((len(images), 3, size, size), np.uint8)
    for place, pixels in enumerate(images.transpose(0, 2, 3, 1)):
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        shown = picture.resize((size, size), Image.Resampling.BILINEAR)
        result[place] = np.asarray(shown).transpose(2, 0, 1)
    return result
