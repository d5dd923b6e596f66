"""Images decoded and resized once, and mapped into memory by every process of this machine."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_tree import ImageTree
from oodbench.caching import cached, filled
from oodbench.errors import RequestError

CHUNK = 256
"""Images between two signs of progress."""
Corrupt = Literal["fail", "skip"]
Fit = Literal["stretch", "crop"]


def decoded(
    name: str, tree: ImageTree, size: int, corrupt: Corrupt, fit: Fit = "stretch"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images of a tree, decoded and resized.

    They are kept under a key of the files' names, sizes and times: a file that was changed or
    exchanged is decoded again.

    Args:
        name: Of the dataset.
        tree: Its files.
        size: Height and width.
        corrupt: What to do with a file that is no image: ``fail``, or ``skip`` it.
        fit: See ``read_image``.

    Returns:
        (n, 3, size, size) pixels, mapped, and (n, 32) sha256 of the files as they lie there; zeros
        in both for one that was skipped.

    Raises:
        RequestError: If a file is no image (with its name), or the pixels do not fit on the disk.
    """
    import PIL

    stats = [os.stat(tree.root / file) for file in tree.files]
    key = [[f, s.st_size, s.st_mtime_ns] for f, s in zip(tree.files, stats, strict=True)]
    settings = {"root": str(tree.root), "files": key, "corrupt": corrupt}
    paths = [tree.root / file for file in tree.files]

    def fill(pixels: NDArray[np.uint8]) -> None:
        def one(row: int) -> str:
            try:
                pixels[row] = read_image(paths[row], size, fit)
            except (OSError, ValueError, SyntaxError) as error:  # as PIL says of broken files
                return f"{paths[row]}: {error}"
            return ""

        broken = [told for told in _in_parallel(one, len(paths), f"decoding {name}") if told]
        if broken and corrupt == "fail":
            raise RequestError(
                f"{name}: {len(broken)} of {len(paths)} files cannot be read as images, first "
                f"{'; '.join(broken[:5])}. Get them again, or set corrupt: skip to leave them out."
            )

    made = [settings, size, PIL.__version__, *([fit] if fit != "stretch" else [])]
    pixels = filled(f"{name}-{size}px", made, (len(paths), 3, size, size), "u1", fill)

    def digest() -> NDArray[np.uint8]:
        def one(row: int) -> bytes:
            if corrupt == "skip" and not pixels[row].any() and not is_image(paths[row]):
                return bytes(32)
            return hashlib.sha256(paths[row].read_bytes()).digest()

        found = _in_parallel(one, len(paths), f"hashing {name}")
        return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32)

    return pixels, cached(f"{name}-sha256", settings, digest)


def read_image(path: Path, size: int, fit: Fit = "stretch") -> NDArray[np.uint8]:
    """(3, size, size): RGB, resized as torchvision resizes PIL images, bilinear with antialias.

    Args:
        path: Of the file.
        size: Height and width.
        fit: ``stretch``: as ``torchvision.transforms.Resize((size, size))``. ``crop``: only the
            square in its middle, so that nothing is distorted. A square image is stretched as well;
            none of its pixels changes if it has the size already.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        rgb, how = image.convert("RGB"), Image.Resampling.BILINEAR
        square = (size, size)
        resized = ImageOps.fit(rgb, square, how) if fit == "crop" else rgb.resize(square, how)
    return np.asarray(resized).transpose(2, 0, 1)


def is_image(path: Path) -> bool:
    """Whether a file is an image, which may well be black."""
    try:
        read_image(path, 8)
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _in_parallel(work: Callable[[int], Any], n: int, what: str) -> list[Any]:
    """``work`` of 0 to n - 1, in order, on all cores: PIL and hashlib release Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, _progress(what, n) as advance:
        result = []
        for start in range(0, n, CHUNK):
            rows = range(start, min(start + CHUNK, n))
            result += list(pool.map(work, rows))
            advance(len(rows))
        return result


@contextmanager
def _progress(what: str, n: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, elsewhere one line where it takes long."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(what, total=n)
            yield lambda done: progress.advance(task, done)
        return
    if n > CHUNK:
        print(f"{what}: {n:,} files", file=sys.stderr, flush=True)
    yield lambda done: None


def content_of(digests: Iterable[bytes]) -> str:
    """One hash of the files' hashes, in order: the same wherever the same files lie."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
