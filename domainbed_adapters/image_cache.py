"""Images read from their files once, and mapped into memory by every process of this machine."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.encoded_images import EncodedImages, keeps_encoded
from domainbed_adapters.image_reading import (
    BROKEN,
    Fit,
    Interpolation,
    harm_of,
    in_parallel,
    read_image,
)
from domainbed_adapters.image_tree import ImageTree
from oodbench.data.cache import cached, filled
from oodbench.errors import RequestError

Corrupt = Literal["fail", "skip"]
Images = NDArray[np.uint8] | EncodedImages


def kept_images(
    name: str,
    tree: ImageTree,
    size: int,
    corrupt: Corrupt,
    fit: Fit = "stretch",
    interpolation: Interpolation = "bilinear",
) -> tuple[Images, NDArray[np.int64], str]:
    """The images of a tree, resized: decoded once, or whenever they are read (``keeps_encoded``).

    They are kept under a key of the files' names, sizes and times: a file that was changed or
    exchanged is read again.

    Args:
        name: Of the dataset.
        tree: Its files.
        size: Height and width.
        corrupt: What to do with a file that is no image: ``fail``, or ``skip`` it.
        fit, interpolation: See ``read_image``.

    Returns:
        (n, 3, size, size) pixels, mapped or decoded when indexed, zeros for a file that was
        skipped; which of the n were not skipped; and a hash of all files and how they are resized.

    Raises:
        RequestError: If a file is no image (with its name), or they do not fit on the disk.
    """
    stats = [os.stat(tree.root / file) for file in tree.files]
    key = [[f, s.st_size, s.st_mtime_ns] for f, s in zip(tree.files, stats, strict=True)]
    settings = {"root": str(tree.root), "files": key, "corrupt": corrupt}
    paths = [tree.root / file for file in tree.files]
    keep = _encoded if keeps_encoded() else _decoded
    images = keep(name, paths, settings, corrupt, Resized(size, fit, interpolation))

    def digest() -> NDArray[np.uint8]:
        def one(row: int) -> bytes:
            # Encoded ones cannot be asked for their pixels where the cache is not written.
            if (
                corrupt == "skip"
                and (keeps_encoded() or not images[row].any())
                and harm_of(paths[row])
            ):
                return bytes(32)
            return hashlib.sha256(paths[row].read_bytes()).digest()

        found = in_parallel(one, len(paths), f"hashing {name}")
        return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32)

    digests = cached(f"{name}-sha256", settings, digest)
    how = f"{size}" if interpolation == "bilinear" else f"{size} {interpolation}"
    content = content_of([how.encode(), *(bytes(one) for one in digests)])
    return images, np.flatnonzero(digests.any(axis=1)), content


class Resized(NamedTuple):
    """How images are brought to one size: what ``read_image`` takes."""

    size: int
    fit: Fit
    interpolation: Interpolation

    @property
    def unusual(self) -> list[str]:
        """What is not at its default."""
        return [how for how in (self.fit, self.interpolation) if how not in ("stretch", "bilinear")]


def _decoded(
    name: str, paths: Sequence[Path], settings: Any, corrupt: Corrupt, how: Resized
) -> NDArray[np.uint8]:
    import PIL

    def fill(pixels: NDArray[np.uint8]) -> None:
        def one(row: int) -> str:
            try:
                pixels[row] = read_image(paths[row], *how)
            except BROKEN as error:
                return f"{paths[row]}: {error}"
            return ""

        _refuse(in_parallel(one, len(paths), f"decoding {name}"), name, corrupt)

    made, size = [settings, how.size, PIL.__version__, *how.unusual], how.size
    return filled(f"{name}-{size}px", made, (len(paths), 3, size, size), "u1", fill)


def _encoded(
    name: str, paths: Sequence[Path], settings: Any, corrupt: Corrupt, how: Resized
) -> EncodedImages:
    """All files are decoded once here, too: a broken one is to be found before a sweep starts."""

    def check() -> NDArray[np.int64]:
        told = in_parallel(lambda row: harm_of(paths[row]), len(paths), f"checking {name}")
        _refuse(told, name, corrupt)
        sizes = [0 if harm else p.stat().st_size for p, harm in zip(paths, told, strict=True)]
        return np.cumsum(sizes, dtype=np.int64)

    ends = cached(f"{name}-encoded-ends", settings, check)

    def fill(packed: NDArray[np.uint8]) -> None:
        def one(row: int) -> None:
            start, end = ends[row - 1] if row else 0, ends[row]
            if end > start:
                packed[start:end] = np.fromfile(paths[row], np.uint8)

        in_parallel(one, len(paths), f"packing {name}")

    packed = filled(f"{name}-encoded", settings, (int(ends[-1]),), "u1", fill)
    return EncodedImages(packed, ends, *how)


def _refuse(told: Sequence[str], name: str, corrupt: Corrupt) -> None:
    broken = [harm for harm in told if harm]
    if broken and corrupt == "fail":
        raise RequestError(
            f"{name}: {len(broken)} of {len(told)} files cannot be read as images, first "
            f"{'; '.join(broken[:5])}. Get them again, or set corrupt: skip to leave them out."
        )


def content_of(digests: Iterable[bytes]) -> str:
    """One hash of the files' hashes, in order: the same wherever the same files lie."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
