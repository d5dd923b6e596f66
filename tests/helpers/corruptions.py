"""Corruptions of 32 x 32 images, by the definitions of Hendrycks & Dietterich 2019.

Strengths are those of CIFAR-10-C. What is drawn at random is drawn anew here, so these images are
like the published ones, not the same. Left out is what needs other software to be faithful: glass,
motion and zoom blur, snow, frost, elastic transform.

    python tests/helpers/corruptions.py FOLDER DATA COUNT

writes the first COUNT test images of each class of the CIFAR-10 in DATA/FOLDER as
DATA/CIFAR-10-C/NAME.npy and labels.npy, laid out as the release is.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve1d, correlate

Floats = NDArray[np.float64]
"""(n, 32, 32, 3) in [0, 1]."""
Corrupt = Callable[[Floats, int, np.random.Generator], Floats]
SIZE = 32


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


def disk(radius: float, blur: float) -> NDArray[np.float64]:
    """(17, 17) a disk of pixels, smoothed by a Gaussian of three taps."""
    steps = np.arange(-8, 9)
    inside = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(float)
    taps = np.exp(-np.array([1.0, 0.0, 1.0]) / (2 * blur**2))
    taps /= taps.sum()
    for axis in (0, 1):
        inside = convolve1d(inside, taps, axis, mode="mirror")
    result: Floats = inside / inside.sum()
    return result


def defocus_blur(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    radius, blur = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    kernel = disk(radius, blur)[6:11, 6:11]  # the rest of it is zero
    result: Floats = correlate(images, kernel[None, :, :, None], mode="mirror")
    return result


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


def main(folder: str, data: str, count: str) -> None:
    """See the module."""
    from domainbed_adapters.cifar_files import read

    test = read(Path(data) / folder, "fail", partial=True)["test"]
    rows = np.concatenate([np.flatnonzero(test.labels == k)[: int(count)] for k in range(10)])
    images = np.asarray(test.images)[rows].transpose(0, 2, 3, 1)
    write_corruptions(Path(data), images, test.labels[rows], list(CORRUPTIONS))


if __name__ == "__main__":
    main(*sys.argv[1:])
