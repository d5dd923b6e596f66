"""Images read from their files once, and mapped into memory by every process of this machine."""

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.encoded_images import EncodedImages, keeps_encoded
from domainbed_adapters.image_depth import is_deep
from domainbed_adapters.image_files import ImageFiles
from domainbed_adapters.image_reading import (
    CHUNK,
    Fit,
    Interpolation,
    at_most,
    harm_of,
    in_parallel,
    read_image,
)
from domainbed_adapters.image_tree import ImageTree
from oodbench.data.cache import cached, filled
from oodbench.data.on_demand import is_on_demand
from oodbench.data.pieces import Pieces
from oodbench.errors import RequestError
from oodbench.records import hash_of

Corrupt = Literal["fail", "skip"]
Images = NDArray[np.uint8] | EncodedImages | ImageFiles
READER = 2
"""Changes with what is read of the same file; 1 clipped deep images."""
JPEG = b"\xff\xd8\xff"
"""How its files begin; their images have eight bits."""


def kept_images(
    name: str,
    tree: ImageTree,
    size: int,
    corrupt: Corrupt,
    fit: Fit = "stretch",
    interpolation: Interpolation = "bilinear",
    max_pixels: int | None = None,
) -> tuple[Images, NDArray[np.int64], str]:
    """The images of a tree, resized: decoded once, or whenever they are read (``keeps_encoded``).

    They are kept under a key of the files' names, sizes and times: a file that was changed or
    exchanged is read again.

    Args:
        name: Name of the dataset.
        tree: Files of the dataset.
        size: Height and width.
        corrupt: What to do with a file that is no image: ``fail``, or ``skip`` it.
        fit, interpolation: See ``read_image``.
        max_pixels: See ``at_most``.

    Returns:
        (n, 3, size, size) pixels, mapped or decoded when indexed, zeros for a file that was
        skipped; which of the n were not skipped; and a hash of all files and how they are resized.
        On demand (``oodbench.data.on_demand``) no file is read: none is skipped, and the hash is
        empty.

    Raises:
        RequestError: If a file is no image (with its name), or they do not fit on the disk.
    """
    how = Resized(size, fit, interpolation, max_pixels)
    if is_on_demand():
        files = ImageFiles(name, tree.root, tree.files, corrupt == "skip", *how)
        return files, np.arange(len(tree.files)), ""
    keep = _encoded if keeps_encoded() else _decoded
    with at_most(max_pixels):
        images = keep(name, tree, _settings(tree, corrupt, max_pixels), corrupt, how)
    digests = digests_of(name, tree, corrupt, max_pixels, images)
    resizing = f"{size}" if interpolation == "bilinear" else f"{size} {interpolation}"
    content = content_of([resizing.encode(), digests.tobytes()])
    return images, np.flatnonzero(digests.any(axis=1)), content


def digests_of(
    name: str,
    tree: ImageTree,
    corrupt: Corrupt,
    max_pixels: int | None = None,
    images: Images | None = None,
) -> NDArray[np.uint8]:
    """The sha256 of each file, from the cache if it is there.

    Args:
        name, tree, corrupt, max_pixels: See ``kept_images``.
        images: The decoded images; None: each file is decoded, to see whether it is an image.

    Returns:
        (n, 32) bytes; zeros for a file that is skipped. On demand that of its name: no two files
        are the same.

    Raises:
        RequestError: If a file is no image (with its name).
    """
    if is_on_demand():
        names = (hashlib.sha256(os.fsencode(file)).digest() for file in tree.files)
        return np.frombuffer(b"".join(names), np.uint8).reshape(-1, 32)

    def is_doubtful(row: int) -> bool:
        # Encoded ones cannot be asked for their pixels where the cache is not written.
        return images is None or (corrupt == "skip" and (keeps_encoded() or not images[row].any()))

    def digest() -> NDArray[np.uint8]:
        def one(row: int) -> tuple[bytes, str]:
            path = tree.root / tree.files[row]
            harm = harm_of(path) if is_doubtful(row) else ""
            return bytes(32) if harm else _digest(path), harm

        with at_most(max_pixels):
            found = in_parallel(one, len(tree.files), f"checking {name}")
        _refuse([harm for _, harm in found], name, corrupt)
        return np.frombuffer(b"".join(sha256 for sha256, _ in found), np.uint8).reshape(-1, 32)

    return cached(f"{name}-sha256", _settings(tree, corrupt, max_pixels), digest)


def _digest(path: Path) -> bytes:
    """The digest of a file, and of how it is read where Pillow's own way is not used."""
    from PIL import Image

    content = path.read_bytes()
    deep = not content.startswith(JPEG) and is_deep(Image.open(io.BytesIO(content)))
    return hashlib.sha256(b"scaled" + content if deep else content).digest()


@lru_cache(maxsize=2)
def _settings(tree: ImageTree, corrupt: Corrupt, max_pixels: int | None) -> Mapping[str, Any]:
    """What decides what is kept of a tree's files, but for how they are resized."""
    root = os.path.join(tree.root, "")
    files = [[file, *_size_and_time(root + file)] for file in tree.files]
    limit = {} if max_pixels is None else {"max_pixels": max_pixels}
    known = {"root": str(tree.root), "files": hash_of(files), "corrupt": corrupt}
    return {**known, **limit, "reader": READER}


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError:  # a link to nothing
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


class Resized(NamedTuple):
    """How images are read and brought to one size: see ``read_image`` and ``at_most``."""

    size: int
    fit: Fit
    interpolation: Interpolation
    max_pixels: int | None

    @property
    def unusual(self) -> list[str]:
        """What is not at its default."""
        return [how for how in (self.fit, self.interpolation) if how not in ("stretch", "bilinear")]


def _decoded(
    name: str, tree: ImageTree, settings: Any, corrupt: Corrupt, how: Resized
) -> NDArray[np.uint8]:
    import PIL

    def fill(pixels: NDArray[np.uint8], pieces: Pieces) -> None:
        paths = [tree.root / file for file in tree.files]

        def read(row: int) -> None:
            pixels[row] = read_image(paths[row], how.size, how.fit, how.interpolation)

        def one(row: int) -> str:
            harm = harm_of(paths[row], partial(read, row))
            if harm:
                pixels[row] = 0  # it may have been read before its checksum was
            return harm

        def keep(rows: Sequence[int], harms: Sequence[str]) -> None:
            pieces.mark([row for row, harm in zip(rows, harms, strict=True) if not harm])

        rows = range(len(paths))
        left, shares = len(pieces.left(rows)), pieces.shares(rows, CHUNK)
        harms = in_parallel(one, left, f"decoding {name}", keep, shares)
        _refuse(harms, name, corrupt)

    made, size = [settings, how.size, PIL.__version__, *how.unusual], how.size
    return filled(
        f"{name}-{size}px", made, (len(tree.files), 3, size, size), "u1", fill, together=True
    )


def _encoded(
    name: str, tree: ImageTree, settings: Any, corrupt: Corrupt, how: Resized
) -> EncodedImages:
    """All files are decoded once here, too: a broken one is to be found before a sweep starts."""
    paths = [tree.root / file for file in tree.files]

    def check() -> NDArray[np.int64]:
        harms = in_parallel(lambda row: harm_of(paths[row]), len(paths), f"checking {name}")
        _refuse(harms, name, corrupt)
        sizes = [0 if harm else p.stat().st_size for p, harm in zip(paths, harms, strict=True)]
        return np.cumsum(sizes, dtype=np.int64)

    ends = cached(f"{name}-encoded-ends", settings, check)

    def fill(packed: NDArray[np.uint8], pieces: Pieces) -> None:
        def one(row: int) -> None:
            start, end = ends[row - 1] if row else 0, ends[row]
            if end > start:
                packed[start:end] = np.fromfile(paths[row], np.uint8)

        in_parallel(one, len(paths), f"packing {name}")

    packed = filled(f"{name}-encoded", settings, (int(ends[-1]),), "u1", fill)
    return EncodedImages(packed, ends, *how)


def _refuse(harms: Sequence[str], name: str, corrupt: Corrupt) -> None:
    broken = [harm for harm in harms if harm]
    if broken and corrupt == "fail":
        raise RequestError(
            f"{name}: {len(broken)} of {len(harms)} files cannot be read as images, first "
            f"{'; '.join(broken[:5])}. Get them again, or set corrupt: skip to leave them out."
        )


def content_of(digests: Iterable[bytes]) -> str:
    """One hash of the files' hashes, in order: the same wherever the same files lie."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
