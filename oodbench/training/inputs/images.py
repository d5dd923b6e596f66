"""Changes of images that augmentation is made of, each image with its own amounts.

They are those of ``torchvision.transforms.v2.functional``, which takes one amount for a whole
batch. Images are (n, 3, height, width) floats in [0, 1]; amounts are (n,). All but ``resized_crop``
change the images in place: on a CPU the time goes into memory, not into arithmetic.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a grey image, as torchvision has them."""


def resized_crop(
    images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, flip: Tensor
) -> Tensor:
    """A part of each image, brought to the size of the whole, bilinearly.

    Args:
        images: See the module.
        top, left, height, width: (n,) where the parts begin and how large they are, in pixels.
        flip: (n,) 1 for images that are then mirrored, 0 for others.

    Returns:
        New images of the same shape.
    """
    rows, columns = images.shape[-2:]
    y = _positions(top, height, rows)
    x = _positions(left, width, columns)
    x = torch.where(flip.unsqueeze(1) > 0, x.flip(1), x)
    grid = torch.empty((len(images), rows, columns, 2), dtype=images.dtype, device=images.device)
    grid[..., 0] = x.mul_(2 / (columns - 1)).sub_(1).unsqueeze(1)
    grid[..., 1] = y.mul_(2 / (rows - 1)).sub_(1).unsqueeze(2)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=True)


def shifted_crop(images: Tensor, corners: Tensor, flip: Tensor) -> Tensor:
    """A part of each image, of the size of the whole, which is black beyond the image.

    Args:
        images: See the module.
        corners: (n, 2) top and left of the parts, in whole pixels; below 0: beyond the image.
        flip: (n,) 1 for images that are then mirrored, 0 for others.

    Returns:
        New images of the same shape.
    """
    rows, columns = images.shape[-2:]
    y, x = _shifted(corners[:, 0], rows), _shifted(corners[:, 1], columns)
    x = torch.where(flip.unsqueeze(1) > 0, x.flip(1), x)
    images = functional.pad(images, (0, 1, 0, 1))  # the black that lies beyond
    images = images.take_along_dim(y[:, None, :, None], 2)
    return images.take_along_dim(x[:, None, None, :], 3)


def _shifted(start: Tensor, size: int) -> Tensor:
    """(n, size) numbers of the pixels from ``start`` on; ``size`` where there is none."""
    found = start.long().unsqueeze(1) + torch.arange(size, device=start.device)
    return torch.where((found >= 0) & (found < size), found, size)


def _positions(start: Tensor, length: Tensor, size: int) -> Tensor:
    """(n, size): where the new pixels of a part lie among the old ones of the whole, in old pixels;
    none beyond the part's own first and last."""
    start, length = start.unsqueeze(1), length.unsqueeze(1)
    inside = torch.minimum(
        (_centres(size, start.dtype, start.device) * (length / size) - 0.5).clamp_(min=0),
        length - 1,
    )
    return inside + start


@cache
def _centres(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The centres (size,) of pixels."""
    return torch.arange(size, dtype=dtype, device=device) + 0.5


def luma(images: Tensor) -> Tensor:
    """(n, 1, height, width): the images in grey."""
    red, green, blue = images.unbind(1)
    grey = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return grey.unsqueeze(1)


def brightness(images: Tensor, factor: Tensor) -> None:
    """0: black; 1: as it is."""
    images.mul_(_each(factor)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> None:
    """0: the mean of the grey image everywhere; 1: as it is."""
    # Not a product of matrices: on some CPUs that rounds differently for one image and for several.
    means = luma(images.mean((2, 3), keepdim=True))
    images.mul_(_each(factor)).add_(_each(1 - factor) * means).clamp_(0, 1)


def saturation(images: Tensor, factor: Tensor) -> None:
    """0: grey; 1: as it is."""
    grey = luma(images).mul_(_each(1 - factor))
    images.mul_(_each(factor)).add_(grey).clamp_(0, 1)


def hue(images: Tensor, turn: Tensor) -> None:
    """Turns the hue by a share of the circle, from -0.5 to 0.5; its value and chroma stay.

    The largest and the smallest channel are found by swaps without branches (Hocevar's way to HSV);
    the new channels are value minus chroma times a clamped triangle wave of the hue.
    """
    red, green, blue = images.unbind(1)
    sector = torch.lt(green, blue, out=torch.empty_like(red)).neg_()  # 0 or -1
    high, low = torch.maximum(green, blue), torch.minimum(green, blue)
    swapped = torch.lt(red, high, out=torch.empty_like(red))
    sector.addcmul_(swapped, sector.mul(-2).sub_(1 / 3))
    middle, high = torch.minimum(red, high), torch.maximum(red, high)
    chroma = high - torch.minimum(middle, low)
    position = middle.sub_(low).div_((chroma * 6).add_(TINY)).add_(sector).abs_()
    phases = _each(turn) + _phases(images.dtype, images.device)
    torch.add(position.unsqueeze(1), phases, out=images)
    chroma = chroma.unsqueeze(1)
    images.frac_().sub_(0.5).abs_().mul_(chroma * 6).sub_(chroma)
    torch.minimum(images.clamp_(min=0), chroma, out=images)
    images.add_(high.unsqueeze(1) - chroma)


@cache
def _phases(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, 3, 1, 1) of red, green and blue; all above -turn."""
    return torch.tensor([1, 5 / 3, 4 / 3], dtype=dtype, device=device).view(1, 3, 1, 1)


TINY = 1e-20
"""Keeps the hue of grey pixels, which have none, from being divided by zero."""
JITTERS: tuple[Callable[[Tensor, Tensor], None], ...] = (brightness, contrast, saturation, hue)
"""The jitters in the order in which torchvision's ``ColorJitter`` numbers them."""


def _each(amounts: Tensor) -> Tensor:
    """(n, 1, 1, 1): one for all channels and pixels of an image."""
    return amounts.view(-1, 1, 1, 1)
