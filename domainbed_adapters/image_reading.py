"""One image file as pixels, and many on all cores."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_fitting import Fit as Fit
from domainbed_adapters.image_fitting import fitted

CHUNK = 256
"""Images between two signs of progress."""
Interpolation = Literal["bilinear", "bicubic"]
BROKEN = (OSError, ValueError, SyntaxError)
"""What PIL raises of a file that is no image."""


def read_image(
    file: Path | IO[bytes],
    size: int,
    fit: Fit = "stretch",
    interpolation: Interpolation = "bilinear",
) -> NDArray[np.uint8]:
    """(3, size, size): RGB, resized as torchvision resizes PIL images, with antialias.

    Args:
        file: Its path, or itself, open.
        size: Height and width.
        fit: See ``Fit``. With ``stretch`` and ``crop`` no pixel of an image changes that has the
            size already.
        interpolation: Of the pixels.
    """
    from PIL import Image

    with Image.open(file) as image:
        rgb, how = image.convert("RGB"), Image.Resampling[interpolation.upper()]
        resized = fitted(rgb, size, fit, how)
    return np.asarray(resized).transpose(2, 0, 1)


def harm_of(path: Path) -> str:
    """Why a file is no image, with its name; empty if it is one, which may well be black."""
    try:
        read_image(path, 8)
    except BROKEN as error:
        return f"{path}: {error}"
    return ""


def in_parallel(work: Callable[[int], Any], n: int, what: str) -> list[Any]:
    """``work`` of 0 to n - 1, in order, on all cores: PIL and hashlib release Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress_of(what, n) as advance:
        result = []
        for start in range(0, n, CHUNK):
            rows = range(start, min(start + CHUNK, n))
            result += list(pool.map(work, rows))
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
