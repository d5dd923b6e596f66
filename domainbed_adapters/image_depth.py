"""Images of more than eight bits, as eight: Pillow's own conversion would clip them to white."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

BITS_PER_SAMPLE, WHITE_IS_ZERO, SAMPLE_FORMAT = 258, 262, 339
"""Tags of TIFF files; the second one's value is 0 where 0 is white."""
SCALED = ("PNG", "PPM", "JPEG2000")
"""Formats whose deep grey images Pillow gives in 16 bits, whatever depth they are stored in."""


def as_rgb(image: "Image.Image") -> "Image.Image":
    """The image in RGB with eight bits a channel, deeper ones scaled by their depth.

    Deep images have one channel: Pillow itself takes the upper eight bits of colours. Whole numbers
    are scaled so that the largest one of their depth is white, and floats so that 1 is.

    Raises:
        ValueError: If its numbers have no known white: 32-bit or signed ones, or floats that are
            not between 0 and 1.
    """
    from PIL import Image

    if is_deep(image):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    return image.convert("RGB")


def is_deep(image: "Image.Image") -> bool:
    """Whether its numbers have more than eight bits."""
    return image.mode == "F" or image.mode.startswith("I")


def _eight_bits(image: "Image.Image") -> NDArray[np.uint8]:
    white = _white(image)
    values = np.asarray(image, np.float64) / white
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 1:  # false of what is no number, too
        raise ValueError(
            f"its numbers go from {low * white:g} to {high * white:g}, but must be from 0 to "
            f"{white:g}; save it with 8 bits"
        )
    tags = getattr(image, "tag_v2", {})
    inverted = image.format == "TIFF" and tags.get(WHITE_IS_ZERO) == 0
    return np.rint(255 * (1 - values if inverted else values)).astype(np.uint8)


def _white(image: "Image.Image") -> float:
    """The number that stands for white."""
    if image.mode == "F":
        return 1
    if image.format in SCALED:
        return 2**16 - 1
    tags = getattr(image, "tag_v2", {})
    bits, kinds = (tags.get(tag, (0,)) for tag in (BITS_PER_SAMPLE, SAMPLE_FORMAT))
    if image.format == "TIFF" and image.mode.startswith("I;") and kinds[0] in (0, 1):
        return float(2 ** bits[0] - 1)
    raise ValueError(
        f"it is a {image.format} image of 32-bit or signed whole numbers, of which none is known "
        "to be white; save it with 8 or 16 bits"
    )
