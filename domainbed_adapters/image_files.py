"""Images that stay in their files, and are decoded whenever they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.encoded_images import decoded
from domainbed_adapters.image_reading import Fit, Interpolation, harm_of, read_image
from oodbench.data.on_demand import UnreadableError

SHOWN = 5
"""How many broken files an error names."""


@dataclass(frozen=True)
class ImageFiles:
    """What can be read like the (n, 3, size, size) array of the images' pixels.

    Attributes:
        name: Name of the dataset.
        root, files: Paths of the images: ``files`` are relative to ``root``.
        skip: Whether a broken file is to be left out.
        size: Height and width.
        fit, interpolation: See ``read_image``.
        max_pixels: See ``at_most``.
    """

    name: str
    root: Path
    files: Sequence[str]
    skip: bool
    size: int
    fit: Fit = "stretch"
    interpolation: Interpolation = "bilinear"
    max_pixels: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (n, 3, size, size) of the images."""
        return (len(self.files), 3, self.size, self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one number."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        """The pixels of the image or the images with these indices, decoded on all cores.

        Raises:
            UnreadableError: If one is broken.
        """
        rows = np.arange(len(self))[which]
        harms = np.full(rows.size, "", dtype=object)

        def decode(place: int, pixels: NDArray[np.uint8]) -> None:
            path = self.root / self.files[int(rows.flat[place])]
            harms[place] = harm_of(path, partial(self._read, path, pixels))

        pixels = decoded(rows.size, self.shape[1:], self.max_pixels, decode)
        broken = np.flatnonzero(harms != "")
        if len(broken):
            raise UnreadableError(
                f"{self.name}: {len(broken)} of {rows.size} files cannot be read as images, first "
                f"{'; '.join(harms[broken[:SHOWN]])}. Get them again, or set corrupt: skip to "
                "leave them out.",
                broken,
                self.skip,
            )
        return pixels.reshape(*rows.shape, *self.shape[1:])

    def _read(self, path: Path, pixels: NDArray[np.uint8]) -> None:
        pixels[...] = read_image(path, self.size, self.fit, self.interpolation, coarse=True)
