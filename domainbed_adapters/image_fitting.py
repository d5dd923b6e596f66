"""How an image is brought to the size of all others."""

from typing import Any, Literal

Fit = Literal["stretch", "crop", "centre", "bordered"]
"""``stretch``: as ``torchvision.transforms.Resize((size, size))``. ``crop``: only the square in its
middle, so that nothing is distorted. ``centre``: as ImageNet's models are tested, ``Resize(256)``
and ``CenterCrop(224)``, or both in that proportion. ``bordered``: the same, without ObjectNet's red
border."""
CROPPED = 0.875
"""Share of the shorter side that ``centre`` keeps: 224 of 256 pixels."""
BORDER = 2
"""Pixels at each edge of a ``bordered`` image that are no part of it."""


def fitted(image: Any, size: int, fit: Fit, how: Any) -> Any:
    """A Pillow image with ``size`` times ``size`` pixels.

    Args:
        image: Image of any size.
        size: Height and width.
        fit: See ``Fit``.
        how: Pillow's resampling.
    """
    from PIL import ImageOps

    if fit == "stretch":
        return image.resize((size, size), how)
    if fit == "crop":
        return ImageOps.fit(image, (size, size), how)
    return _centre(ImageOps.crop(image, BORDER) if fit == "bordered" else image, size, how)


def _centre(image: Any, size: int, how: Any) -> Any:
    """See ``Fit``; sizes and places are rounded as torchvision rounds them."""
    shorter, least = round(size / CROPPED), min(image.size)
    width, height = (int(shorter * side / least) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.resize((width, height), how).crop((left, top, left + size, top + size))
