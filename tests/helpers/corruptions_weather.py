"""Weather on 32 x 32 images, as ``corruptions`` describes it."""

from pathlib import Path

import numpy as np
from corruptions_blur import SIZE, Floats, along, enlarged
from numpy.typing import NDArray
from PIL import Image


def plasma(wibble_decay: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(32, 32) a landscape in [0, 1], by the diamond-square algorithm on a torus."""
    land = np.zeros((SIZE, SIZE))
    step, wibble = SIZE, 100.0

    def around(total: NDArray[np.float64]) -> NDArray[np.float64]:
        return total / 4 + wibble * rng.uniform(-wibble, wibble, total.shape)

    while step >= 2:
        half = step // 2
        corners = land[::step, ::step]
        sides = corners + np.roll(corners, -1, 0)
        land[half::step, half::step] = around(sides + np.roll(sides, -1, 1))
        centres = land[half::step, half::step]
        above = centres + np.roll(centres, 1, 0)
        left = centres + np.roll(centres, 1, 1)
        land[::step, half::step] = around(corners + np.roll(corners, -1, 1) + above)
        land[half::step, ::step] = around(corners + np.roll(corners, -1, 0) + left)
        step, wibble = half, wibble / wibble_decay
    land -= land.min()
    result: Floats = land / land.max()
    return result


def fog(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    share, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    mist = np.stack([plasma(decay, rng) for _ in images])[..., None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    result: Floats = (images + share * mist) * brightest / (brightest + share)
    return result


def brightness(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """A higher value, in HSV; hue and saturation stay, so the channels are scaled alike."""
    value = images.max(-1, keepdims=True)
    brighter = np.clip(value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1], 0, 1)
    result: Floats = np.where(
        value > 0, images * brighter / np.where(value > 0, value, 1), brighter
    )
    return result


def snow(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Flakes that fall in two opposite directions, over an image that is paler."""
    mean, scale, factor, least, radius, blur, share = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    flakes = enlarged(rng.normal(mean, scale, (*images.shape[:3], 1)), factor)
    flakes = np.floor(np.where(flakes < least, 0, flakes).clip(0, 1) * 255) / 255
    angles = rng.uniform(-135, -45, len(images))
    fallen = [along(flakes[i : i + 1], radius, blur, angle) for i, angle in enumerate(angles)]
    layer = np.concatenate(fallen)
    grey = images @ np.array([0.299, 0.587, 0.114])
    pale = np.maximum(images, grey[..., None] * 1.5 + 0.5)
    result: Floats = share * images + (1 - share) * pale + layer + layer[:, ::-1, ::-1]
    return result


def frost_of(photographs: Path) -> list[NDArray[np.float64]]:
    """The authors' photographs of frost, a fifth as large; the sixth is never drawn there."""
    names = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
    # Bilinearly to a fifth is every fifth pixel, from the third on.
    return [
        np.asarray(Image.open(photographs / name).convert("RGB"))[2::5, 2::5] / 255
        for name in names
    ]


def frosted(
    images: Floats, severity: int, rng: np.random.Generator, frosts: list[NDArray[np.float64]]
) -> Floats:
    """A part of a photograph of frost, added to an image that is darker."""
    own, others = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    parts = []
    for _ in images:
        frost = frosts[rng.integers(len(frosts))]
        top, left = (rng.integers(0, length - SIZE) for length in frost.shape[:2])
        parts.append(frost[top : top + SIZE, left : left + SIZE])
    return own * images + others * np.stack(parts)
