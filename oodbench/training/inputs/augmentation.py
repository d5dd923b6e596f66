"""Augmentation of training images on the device: parameters for each image, drawn from its trial.

What is drawn is a function of the trial's seed and the step, as batches are: the same alone or in a
stack, on any device, and after an interruption. The distributions are those of torchvision's
``RandomResizedCrop``, ``RandomCrop``, ``RandomHorizontalFlip``, ``ColorJitter`` and
``RandomGrayscale``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.seeds import stream
from oodbench.training.inputs.amounts import Amounts, joined
from oodbench.training.inputs.at_once import augment_at_once
from oodbench.training.inputs.chains import (
    AUGMIX,
    RANDAUGMENT,
    Policy,
    draw_chains,
    joined_chains,
)
from oodbench.training.inputs.images import JITTERS, luma, resized_crop, shifted_crop
from oodbench.training.inputs.operations import send_through
from oodbench.training.inputs.stored import Inputs, StoredInputs

TRIES = 10
"""Crops that are drawn before the whole image is taken, as in torchvision."""


@dataclass(frozen=True)
class Recipe:
    """What is done to an image, in this order: crop, mirror, jitter, grey, chains of operations.

    Attributes:
        scale: Smallest and largest share of the area that is cropped; None: no such crop.
        ratio: Smallest and largest width / height of a crop.
        pad: Share of a side that is added in black at each of its ends, before a part of the
            image's own size is cropped; 0: no such crop. It needs ``scale`` None.
        flip: Probability that the image is mirrored.
        jitter: Largest change of brightness, contrast and saturation, each a factor, and of hue, a
            share of the circle; empty: none.
        grey: Probability that the image becomes grey.
        policy: The operations of chains; None: there are none.
    """

    scale: tuple[float, float] | None = (0.7, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    pad: float = 0.0
    flip: float = 0.5
    jitter: tuple[float, ...] = (0.3, 0.3, 0.3, 0.3)
    grey: float = 0.1
    policy: Policy | None = None


CHAINED = Recipe(jitter=(), grey=0.0)
CROPPED = {
    "domainbed": Recipe(),
    "randaugment": replace(CHAINED, policy=RANDAUGMENT),
    "augmix": replace(CHAINED, policy=AUGMIX),
}
RECIPES = {
    **CROPPED,
    **{f"{name}_uncropped": replace(one, scale=None) for name, one in CROPPED.items()},
    "crop_flip": Recipe(scale=None, pad=1 / 8, jitter=(), grey=0.0),
}
"""DomainBed's for its folders of images, and without a crop for Spawrious (its ``datasets.py`` at
b93c22a); the crop and the mirror of these, then RandAugment or AugMix; that of He et al. 2016,
section 4.2, for CIFAR-10, whose images of 32 pixels are padded with 4."""


def draw(
    recipe: Recipe, n: int, height: int, width: int, generator: np.random.Generator
) -> Amounts:
    """Draw what is done to ``n`` images of ``height`` times ``width`` pixels."""
    strengths, jitters = np.array(recipe.jitter), len(recipe.jitter)
    centre = np.array([1.0, 1.0, 1.0, 0.0])[:jitters]
    return Amounts(
        crop=_crops(recipe, n, height, width, generator),
        flip=generator.random(n) < recipe.flip,
        factors=centre + strengths * generator.uniform(-1, 1, (n, jitters)),
        order=generator.random((n, jitters)).argsort(axis=1),
        grey=generator.random(n) < recipe.grey,
    )


def _crops(
    recipe: Recipe, n: int, height: int, width: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """(n, 4) top, left, height and width of the first crop of ``TRIES`` that fits.

    If none does, the largest one in the middle whose ratio is allowed. Of padded images, (n, 2).
    """
    if recipe.pad:
        most = np.round(recipe.pad * np.array([height, width])).astype(np.int64)
        return generator.integers(-most, most + 1, (n, 2)).astype(np.float64)
    if recipe.scale is None:
        return np.tile([0.0, 0.0, height, width], (n, 1))
    area = height * width * generator.uniform(*recipe.scale, (n, TRIES))
    low, high = recipe.ratio
    ratio = np.exp(generator.uniform(np.log(low), np.log(high), (n, TRIES)))
    h, w = np.round(np.sqrt(area / ratio)), np.round(np.sqrt(area * ratio))
    fits = (h > 0) & (h <= height) & (w > 0) & (w <= width)
    first = (np.arange(n), fits.argmax(axis=1))
    h, w = h[first], w[first]
    room = np.stack([height - h + 1, width - w + 1], axis=1)
    corners = np.floor(generator.random((n, 2)) * room)
    widest, highest = min(width, round(height * high)), min(height, round(width / low))
    middle = [(height - highest) // 2, (width - widest) // 2, highest, widest]
    chosen = np.concatenate([corners, np.stack([h, w], axis=1)], axis=1)
    return np.where(fits.max(axis=1, keepdims=True), chosen, middle)


def augmented(images: Tensor, amounts: Amounts) -> Tensor:
    """The changed images, (n, 3, height, width) floats in [0, 1]; all have one order of changes."""

    def on_device(values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values.astype(np.float64)).to(images.device, images.dtype)

    crop, flip = on_device(amounts.crop), on_device(amounts.flip)
    if crop.shape[1] == 2:
        images = shifted_crop(images, crop, flip)
    else:
        top, left, height, width = crop.unbind(1)
        images = resized_crop(images, top, left, height, width, flip)
    factors = on_device(amounts.factors)
    for change in amounts.order[0]:
        JITTERS[change](images, factors[:, change])
    if amounts.grey.any():
        rows = torch.from_numpy(np.flatnonzero(amounts.grey)).to(images.device)
        images[rows] = luma(images[rows]).expand(-1, 3, -1, -1)
    return images


TOGETHER = 4
"""Images that are changed together on a CPU: what more of them need leaves the cache."""


def augment(
    read: Callable[[Tensor], Tensor], amounts: Amounts, result: Tensor, rows: Tensor
) -> None:
    """Write the changed images into ``result``.

    On a CPU those whose changes have one order are changed together, so none is copied to be
    changed.

    Args:
        read: Gives images by their numbers.
        amounts: What is done to each of n images.
        result: (n, 3, height, width) floats.
        rows: (n,) their numbers.
    """
    if result.device.type != "cpu":
        augment_at_once(read, amounts, result, rows)
        return
    codes = amounts.order @ 4 ** np.arange(amounts.order.shape[1])[::-1]
    sorted_ = np.argsort(codes, kind="stable")
    for group in np.split(sorted_, np.flatnonzero(np.diff(codes[sorted_])) + 1):
        for start in range(0, len(group), TOGETHER):
            part = group[start : start + TOGETHER]
            places = torch.from_numpy(part)
            result[places] = augmented(read(rows[places]), amounts[part])


@dataclass(frozen=True)
class AugmentedInputs:
    """Images that are augmented whenever they are read, each always in the same way.

    Attributes:
        plain: n images.
        amounts: What is done to each.
    """

    plain: Inputs | StoredInputs
    amounts: Amounts

    @property
    def shape(self) -> torch.Size:
        """The shape (n, *shape) of the examples."""
        return self.plain.shape

    def settled(self) -> "AugmentedInputs":
        """The inputs themselves: they are read too seldom to be kept twice."""
        return self

    def __getitem__(self, which: slice) -> Tensor:
        """The chosen images, as floats."""
        images = self.plain[which]
        result, rows = torch.empty_like(images), torch.arange(len(images), device=images.device)
        augment(images.__getitem__, self.amounts[which], result, rows)
        return result


class TrainingImages:
    """The images of each step's batches, augmented.

    Args:
        inputs: All training images.
        recipe: What is done to them.
        seeds: Seeds of the K models.
    """

    def __init__(self, inputs: Inputs | StoredInputs, recipe: Recipe, seeds: Sequence[int]) -> None:
        self._inputs, self._recipe, self._seeds = inputs, recipe, seeds
        self._result = torch.empty(0)

    def __call__(self, indices: Tensor, step: int) -> Tensor:
        """(K, G, B, 3, height, width) of the images (K, G, B); the next call overwrites them:
        memory that is new costs a CPU as much as an image's brightness."""
        each, shape = indices[0].numel(), self._inputs.shape[1:]
        height, width = shape[1:]
        if self._result.shape != (*indices.shape, *shape):
            self._result = self._inputs[indices[0, 0, :1]].new_empty((*indices.shape, *shape))
        streams = [stream(seed, "augmentation", step) for seed in self._seeds]
        drawn = [draw(self._recipe, each, height, width, own) for own in streams]
        rows, result = indices.flatten(), self._result.view(-1, *shape)
        augment(self._inputs.__getitem__, joined(drawn), result, rows)
        if policy := self._recipe.policy:
            chains = joined_chains([draw_chains(policy, each, own) for own in streams])
            send_through(policy, chains, result)
        return self._result


def training_inputs(
    inputs: Inputs | StoredInputs, recipe: str, seeds: Sequence[int]
) -> Callable[[Tensor, int], Tensor]:
    """Make the function from a step's indices (K, G, B) and the step to its examples, as floats.

    Args:
        inputs: All training examples.
        recipe: A name of ``RECIPES``; empty: the examples stay as they are.
        seeds: Seeds of the K models.
    """
    if recipe:
        return TrainingImages(inputs, RECIPES[recipe], seeds)
    return lambda indices, step: inputs[indices]
