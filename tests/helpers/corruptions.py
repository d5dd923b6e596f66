"""Corruptions of 32 x 32 images, by the definitions of Hendrycks & Dietterich 2019.

Strengths are those of CIFAR-10-C. What is drawn at random is drawn anew here, so these images are
like the published ones, not the same.

    python tests/helpers/corruptions.py FOLDER DATA COUNT [PHOTOGRAPHS]

writes the first COUNT test images of each class of the CIFAR-10 in DATA/FOLDER as
DATA/CIFAR-10-C/NAME.npy and labels.npy, laid out as the release is. Frost is made of the authors'
photographs, ``ImageNet-C/create_c`` of their repository; without that folder it is left out.
"""

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from corruptions_blur import (
    SIZE,
    Floats,
    defocus_blur,
    elastic_transform,
    glass_blur,
    motion_blur,
    zoom_blur,
)
from corruptions_weather import brightness, fog, frost_of, frosted, snow
from numpy.typing import NDArray
from PIL import Image

Corrupt = Callable[[Floats, int, np.random.Generator], Floats]


def gaussian_noise(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return images + rng.normal(0, scale, images.shape)


def shot_noise(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return rng.poisson(images * photons) / photons


def impulse_noise(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Salt and pepper, as often, in each channel apart."""
    amount = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    struck, salt = rng.random(images.shape) < amount, rng.random(images.shape) < 0.5
    return np.where(struck, salt, images)


def contrast(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    means = images.mean(axis=(1, 2), keepdims=True)
    result: Floats = (images - means) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] + means
    return result


def _by_pillow(change: Callable[[Image.Image], Image.Image], images: Floats) -> Floats:
    pictures = (Image.fromarray(np.rint(image * 255).astype(np.uint8)) for image in images)
    return np.stack([np.asarray(change(picture)) for picture in pictures]) / 255


def pixelate(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    small = int(SIZE * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])
    box = Image.Resampling.BOX

    def change(picture: Image.Image) -> Image.Image:
        return picture.resize((small, small), box).resize((SIZE, SIZE), box)

    return _by_pillow(change, images)


def jpeg_compression(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return _by_pillow(change, images)


CORRUPTIONS: dict[str, Corrupt] = {
    one.__name__: one
    for one in (
        gaussian_noise,
        shot_noise,
        impulse_noise,
        defocus_blur,
        fog,
        brightness,
        contrast,
        pixelate,
        jpeg_compression,
        glass_blur,
        motion_blur,
        zoom_blur,
        snow,
        elastic_transform,
    )
}


def corrupted(name: str, images: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """(5 n, 32, 32, 3): n images of that shape at each severity, one after the other."""
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    floats = images / 255
    every = [CORRUPTIONS[name](floats, severity, rng) for severity in range(1, 6)]
    whole = np.concatenate(every).clip(0, 1) * 255
    # Files of Pillow have whole numbers already; of the others the release cuts the fraction off.
    return (whole + 1e-6).astype(np.uint8)


def write_corruptions(
    data: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], names: list[str]
) -> None:
    """Write (n, 32, 32, 3) test images under each corruption, as the release lays them out."""
    where = data / "CIFAR-10-C"
    where.mkdir(parents=True, exist_ok=True)
    for name in names:
        np.save(where / f"{name}.npy", corrupted(name, images))
    np.save(where / "labels.npy", np.tile(labels, 5).astype(np.uint8))


def main(folder: str, data: str, count: str, photographs: str = "") -> None:
    """See the module."""
    from domainbed_adapters.cifar_files import read

    test = read(Path(data) / folder, "fail", partial=True)["test"]
    rows = np.concatenate([np.flatnonzero(test.labels == k)[: int(count)] for k in range(10)])
    images = np.asarray(test.images)[rows].transpose(0, 2, 3, 1)
    if photographs:
        CORRUPTIONS["frost"] = partial(frosted, frosts=frost_of(Path(photographs)))
    write_corruptions(Path(data), images, test.labels[rows], list(CORRUPTIONS))


if __name__ == "__main__":
    main(*sys.argv[1:])
