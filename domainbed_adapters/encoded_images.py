"""Images kept as the bytes of their files, and decoded whenever they are read.

For data that as pixels would not fit the disk. All files lie one after the other in one file of the
cache, so that a shared file system is asked for one file and not for a million.
"""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_reading import Fit, Interpolation, at_most, read_image
from oodbench.errors import RequestError

VARIABLE = "OODBENCH_IMAGES"
"""Environment variable: how this machine keeps images. What is trained does not depend on it."""
WAYS = ("decoded", "encoded")


def keeps_encoded() -> bool:
    """Whether this machine keeps images encoded.

    Raises:
        RequestError: If the variable is none of ``WAYS``.
    """
    way = os.environ.get(VARIABLE) or "decoded"
    if way not in WAYS:
        raise RequestError(f"{VARIABLE} must be decoded or encoded, not {way!r}.")
    return way == "encoded"


@dataclass(frozen=True)
class EncodedImages:
    """What can be read like the (n, 3, size, size) array of the images' pixels.

    Attributes:
        packed: (bytes,) all files, one after the other, as a rule mapped from one file.
        ends: (n,) where each of them ends; one that is empty stands for a black image.
        size: Height and width.
        fit, interpolation: See ``read_image``.
        max_pixels: See ``at_most``.
    """

    packed: NDArray[np.uint8]
    ends: NDArray[np.int64]
    size: int
    fit: Fit = "stretch"
    interpolation: Interpolation = "bilinear"
    max_pixels: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (n, 3, size, size) of the images."""
        return (len(self.ends), 3, self.size, self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one number."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        """The pixels of the image or the images with these indices, decoded on all cores."""
        rows = np.arange(len(self))[which]

        def decode(place: int, pixels: NDArray[np.uint8]) -> None:
            row = int(rows.flat[place])
            encoded = self.packed[self.ends[row - 1] if row else 0 : self.ends[row]]
            if encoded.size:
                how = self.size, self.fit, self.interpolation
                pixels[...] = read_image(io.BytesIO(encoded.tobytes()), *how)

        pixels = decoded(rows.size, self.shape[1:], self.max_pixels, decode)
        return pixels.reshape(*rows.shape, *self.shape[1:])


def decoded(
    n: int,
    shape: tuple[int, ...],
    max_pixels: int | None,
    decode: Callable[[int, NDArray[np.uint8]], None],
) -> NDArray[np.uint8]:
    """(n, *shape) images, decoded on all cores.

    Args:
        n: How many.
        shape: Shape of one image.
        max_pixels: See ``at_most``.
        decode: ``decode(i, pixels)`` writes image i into its pixels, which are zeros.
    """
    pixels = np.zeros((n, *shape), np.uint8)
    with at_most(max_pixels), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, range(n), pixels))
    return pixels
