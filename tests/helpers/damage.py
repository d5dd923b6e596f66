"""Files that are damaged at random, and what a case may end in: a result, or a named mistake."""

import io
import random
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from oodbench.errors import OodbenchError

T = TypeVar("T")
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {}),
    "tif": ("TIFF", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "pgm": ("PPM", {}),
    "deep.png": ("PNG", {}),
    "deep.tif": ("TIFF", {}),
}
"""Extension -> Pillow's format and how it is saved."""
CHECKED = ("png", "deep.png")
"""Those whose checksums show any damage of their pixels."""


def picture(extension: str, seed: int) -> bytes:
    """A file of noise, in this format."""
    draws = np.random.default_rng(seed)
    pixels = draws.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    source = Image.fromarray(pixels)
    if extension.startswith("deep"):
        source = Image.fromarray(draws.integers(0, 2**16, (12, 16)).astype("uint16"))
    if extension == "pgm":
        source = source.convert("L")
    form, how = FORMATS[extension]
    buffer = io.BytesIO()
    source.save(buffer, form, **how)
    return buffer.getvalue()


def damaged(content: bytes, draw: random.Random) -> tuple[bytes, bool]:
    """The content with one kind of damage, and whether it was cut short."""
    kind = draw.choice(["flip", "flips", "cut", "zeros", "twice", "random"])
    place = draw.randrange(len(content))
    if kind == "cut":
        return content[:place], True
    if kind == "twice":
        return content[:place] + content[place // 2 :], False
    if kind == "random":
        return draw.randbytes(place), False
    changed = bytearray(content)
    if kind == "zeros":
        changed[place : place + 8] = bytes(len(changed[place : place + 8]))
    for _ in range({"flip": 1, "flips": 8}.get(kind, 0)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed), False


def outcome(case: Callable[[], T]) -> T | OodbenchError:
    """What the case gives, or its mistake; any other exception is a failure of the test."""
    try:
        return case()
    except OodbenchError as error:
        return error
