"""Augmentation of all images of a batch at once, for devices on which it is launches that cost.

Every image has an order of changes of its own: 24 groups of a few images each, a hundred kernels a
group. But brightness, contrast and saturation are one change towards three references, so there is
no group where images are sorted by how many of them come before the turn of hue: those that have
another one are the first so many, and afterwards the last so many. Results are the same, bit for
bit, as group by group.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.training.inputs.amounts import Amounts
from oodbench.training.inputs.images import JITTERS, hue, luma, resized_crop, shifted_crop
from oodbench.training.inputs.stored import upload

HUE = JITTERS.index(hue)
CONTRAST, SATURATION = 1, 2
"""Places among ``JITTERS``; brightness, the first, has no reference: it is black."""


def augment_at_once(
    read: Callable[[Tensor], Tensor], amounts: Amounts, result: Tensor, rows: Tensor
) -> None:
    """Write the changed images into ``result``: see ``augmentation.augment``."""
    jittered = amounts.order.shape[1] > 0
    turned_at: NDArray[np.int64] = np.zeros(len(amounts), np.int64)
    if jittered:
        turned_at = (amounts.order == HUE).argmax(axis=1)
    sorted_ = np.argsort(-turned_at, kind="stable")
    given, before = amounts[sorted_], turned_at[sorted_]
    drawn = [
        np.stack([sorted_, np.argsort(sorted_)], axis=1),
        given.flip[:, None],
        given.grey[:, None],
        given.crop,
    ]
    if jittered:
        drawn += [given.order, given.factors]
    table = torch.from_numpy(np.concatenate(drawn, axis=1).T).to(result.dtype)
    table = upload(table, result.device)
    (places, back), (flip, grey) = table[:2].long(), table[2:4]
    crop, jitters = table[4 : 4 + given.crop.shape[1]], table[4 + given.crop.shape[1] :]
    images = read(rows.index_select(0, places))
    if len(crop) == 2:
        images = shifted_crop(images, crop.T, flip)
    else:
        images = resized_crop(images, crop[0], crop[1], crop[2], crop[3], flip)
    if jittered:
        order, factors = jitters.chunk(2)
        _jitter(images, order, factors, before)
    if given.grey.any():
        images = torch.where(_each(grey) > 0, luma(images), images)
    torch.index_select(images, 0, back, out=result)


def _jitter(images: Tensor, order: Tensor, factors: Tensor, before: NDArray[np.int64]) -> None:
    """Change images in place.

    Args:
        images: n, sorted by the place of hue in their order, the last first.
        order: (4, n) which change comes first, second, third and last.
        factors: (4, n) of each change.
        before: (n,) how many changes come before hue.
    """
    turn, factors = factors[HUE], factors.gather(0, order.long())
    rest, contrast, saturation = 1 - factors, order == CONTRAST, order == SATURATION

    def shade(place: int, which: slice) -> None:
        chosen = images[which]
        if not len(chosen):
            return
        own = (_each(table[place, which]) for table in (factors, rest, contrast, saturation))
        factor, other, of_means, of_grey = own
        means = luma(chosen.mean((2, 3), keepdim=True)) * of_means
        reference = torch.where(of_grey, luma(chosen), means)
        chosen.mul_(factor).add_(reference.mul_(other)).clamp_(0, 1)

    last = order.shape[0] - 1
    for place in range(last):
        shade(place, slice(0, int((before > place).sum())))
    hue(images, turn)
    for place in range(1, last + 1):
        shade(place, slice(int((before >= place).sum()), None))


def _each(amounts: Tensor) -> Tensor:
    """(n, 1, 1, 1): one for all channels and pixels of an image."""
    return amounts.view(-1, 1, 1, 1)
