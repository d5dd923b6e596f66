"""One image file as pixels, and many on all cores."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_depth import as_rgb
from domainbed_adapters.image_fitting import Fit as Fit
from domainbed_adapters.image_fitting import fitted
from oodbench.data.stopping import stop_if_asked

CHUNK = 256
"""Images between two signs of progress."""
PNG = b"\x89PNG\r\n\x1a\n"
"""How its files begin."""
Interpolation = Literal["bilinear", "bicubic"]


def read_image(
    file: Path | IO[bytes],
    size: int,
    fit: Fit = "stretch",
    interpolation: Interpolation = "bilinear",
    coarse: bool = False,
) -> NDArray[np.uint8]:
    """(3, size, size): RGB, resized as torchvision resizes PIL images, with antialias.

    Args:
        file: Its path, or itself, open.
        size: Height and width.
        fit: See ``Fit``. With ``stretch`` and ``crop`` no pixel of an image changes that has the
            size already.
        interpolation: Interpolation of the pixels.
        coarse: Decode a JPEG file at a half, a quarter or an eighth, if at least twice the size is
            left: many times faster for a large photograph, and a little different.

    Raises:
        Exception: Of any kind, if it is no image: see ``harm_of``.
    """
    from PIL import Image

    if isinstance(file, Path) and not file.is_file():  # opening a pipe would never end
        raise OSError("a link to nothing" if file.is_symlink() else "no file")
    with Image.open(file) as image:
        if coarse:
            image.draft(None, (2 * size, 2 * size))
        rgb, how = as_rgb(image), Image.Resampling[interpolation.upper()]
        resized = fitted(rgb, size, fit, how)
    return np.asarray(resized).transpose(2, 0, 1)


def harm_of(path: Path, read: Callable[[], object] | None = None) -> str:
    """Why a file is no image, with its name; empty if it is one, which may well be black.

    Args:
        path: Path of the file.
        read: Reads it; by default it is read in eight pixels.
    """
    from PIL import Image

    try:
        read() if read else read_image(path, 8)
        _check_sums(path)
    except Image.DecompressionBombError as error:
        return f"{path}: {error} If it is meant, set max_pixels to as many as it has"
    except Exception as error:  # Pillow raises errors of many kinds
        return f"{path}: {' '.join(str(error).split()) or type(error).__name__}"
    return ""


def _check_sums(path: Path) -> None:
    """Raise an error if a checksum of a PNG file is wrong: Pillow skips those of its pixels."""
    from PIL import Image

    with path.open("rb") as file:
        if file.read(len(PNG)) == PNG:
            file.seek(0)
            Image.open(file).verify()


@contextmanager
def at_most(max_pixels: int | None) -> Iterator[None]:
    """Within, Pillow reads images of up to so many pixels; None: of as many as it does by itself.

    It is a setting of Pillow's for all threads. Pillow warns from half of what it refuses.
    """
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            if max_pixels is not None:
                Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def in_parallel(
    work: Callable[[int], Any],
    n: int,
    what: str,
    keep: Callable[[Sequence[int], list[Any]], None] = lambda rows, found: None,
    shares: Iterable[Sequence[int]] | None = None,
) -> list[Any]:
    """``work`` of 0 to n - 1, in order, on all cores: PIL and hashlib release Python's lock.

    Args:
        work: Done for each.
        n: How many.
        what: It is, for the progress bar.
        keep: Called with what was found for some of them, before the next ones.
        shares: The numbers, some at a time, in place of 0 to n - 1.

    Raises:
        StopTrainingError: If the worker is to stop.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress_of(what, n) as advance:
        result: list[Any] = []
        for rows in shares or (range(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)):
            found: list[Any] = []
            some: Any = pool.map(work, rows)
            with closing(some):  # after an error nothing else is begun
                try:
                    for one in some:
                        found.append(one)
                        stop_if_asked()
                finally:
                    keep(rows[: len(found)], found)
            result += found
            advance(len(rows))
        return result


@contextmanager
def progress_of(what: str, n: int) -> Iterator[Callable[[int], None]]:
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
