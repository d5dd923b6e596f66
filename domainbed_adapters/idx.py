"""idx files, the format of MNIST: a magic number, the sizes, then bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTES = b"\x00\x00\x08"
"""How a file of unsigned bytes begins; the next byte is the number of axes."""


def contents(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name ends in ``.gz``.

    Raises:
        ValueError: If it is no gzip file, or ends too early.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"is no complete gzip file: {error}") from error


def parse(data: bytes) -> NDArray[np.uint8]:
    """The array in an idx file.

    Raises:
        ValueError: If these are not the bytes of one.
    """
    axes = data[3] if len(data) > 3 else 0
    start = 4 + 4 * axes
    if data[:3] != UNSIGNED_BYTES or not axes or len(data) < start:
        raise ValueError("is no idx file of unsigned bytes")
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    if len(data) - start != math.prod(shape):
        raise ValueError(f"has {len(data) - start} bytes of data, not the {shape} it announces")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
