"""Blurs and distortions of 32 x 32 images, as ``corruptions`` describes them."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, correlate, gaussian_filter, map_coordinates, zoom

Floats = NDArray[np.float64]
"""(n, 32, 32, 3) in [0, 1]."""
SIZE = 32


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


def glass_blur(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Each pixel becomes a neighbour above or left of it, or stays; blurred before and after.

    The authors' code means to swap the two, but numpy's views make it a copy.
    """
    scale, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    scales = (0, scale, scale, 0)
    pixels = (gaussian_filter(images, scales, mode="nearest") * 255).astype(np.uint8)
    each = np.arange(len(images))
    for _ in range(rounds):
        for row in range(SIZE - 1, 1, -1):
            for column in range(SIZE - 1, 1, -1):
                right, down = rng.integers(-1, 1, (2, len(images)))
                pixels[each, row, column] = pixels[each, row + down, column + right]
    result: Floats = gaussian_filter(pixels / 255, scales, mode="nearest")
    return result


def along(images: NDArray[np.float64], radius: int, scale: float, angle: float) -> Floats:
    """(n, 32, 32, ...) images that moved: half of a Gaussian along a line, edges continued.

    This is ImageMagick's ``MotionBlurImage``: its weights, and its rounding of where pixels are.

    Args:
        images: To be blurred.
        radius: 2 ``radius`` + 1 pixels of the line are added up.
        scale: Deviation of the Gaussian, in pixels.
        angle: Of the line, in degrees.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * scale**2))
    turned = np.deg2rad(angle)
    right, down = (
        np.ceil(steps * part - 0.5).astype(int) for part in (np.cos(turned), np.sin(turned))
    )
    places = np.arange(SIZE)
    result = np.zeros_like(images)
    for weight, x, y in zip(weights / weights.sum(), right, down, strict=True):
        rows, columns = (places + y).clip(0, SIZE - 1), (places + x).clip(0, SIZE - 1)
        result += weight * images[:, rows][:, :, columns]
    return np.rint(result * 255) / 255  # it keeps eight bits


def motion_blur(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    radius, scale = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angles = rng.uniform(-45, 45, len(images))
    return np.concatenate(
        [along(images[i : i + 1], radius, scale, angle) for i, angle in enumerate(angles)]
    )


def enlarged(images: NDArray[np.float64], factor: float) -> Floats:
    """(n, 32, 32, m): the middle of each image, bilinearly brought to the size of the whole."""
    side = int(np.ceil(SIZE / factor))
    start = (SIZE - side) // 2
    middle = images[:, start : start + side, start : start + side]
    larger = zoom(middle, (1, factor, factor, 1), order=1)
    trim = (larger.shape[1] - SIZE) // 2
    result: Floats = larger[:, trim : trim + SIZE, trim : trim + SIZE]
    return result


def zoom_blur(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """The mean of an image and of its enlargements, by a factor of 1 first."""
    factors = np.arange(1, (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1], 0.01)
    total = images + sum(enlarged(images, float(factor)) for factor in factors)
    result: Floats = total / (len(factors) + 1)
    return result


def elastic_transform(images: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """A random affine map, then smooth random shifts of each pixel."""
    strength, scale, most = (
        *((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06)),
        *((0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    )[severity - 1]
    half, third = SIZE // 2, SIZE // 3
    corners = half + third * np.array([[1, 1], [1, -1], [-1, -1]])  # x, y
    grid = np.indices((SIZE, SIZE)).astype(float)
    result = []
    for image in images:
        moved = corners + rng.uniform(-most * SIZE, most * SIZE, (3, 2))
        back = np.linalg.solve(np.c_[moved, np.ones(3)], corners)  # (x, y, 1) to x, y before
        x, y = np.moveaxis(np.stack([grid[1], grid[0], np.ones_like(grid[0])], -1) @ back, -1, 0)
        image = sampled(image, y, x, "mirror")
        right, down = (
            gaussian_filter(
                rng.uniform(-1, 1, (SIZE, SIZE)), scale * SIZE, mode="reflect", truncate=3
            )
            * (strength * SIZE)
            for _ in "xy"
        )
        result.append(sampled(image, grid[0] + down, grid[1] + right, "reflect"))
    return np.stack(result)


def sampled(
    image: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64], edge: str
) -> NDArray[np.float64]:
    """(32, 32, 3) what lies at these (32, 32) places of an image, bilinearly."""
    channels = (
        map_coordinates(channel, [rows, columns], order=1, mode=edge)
        for channel in np.moveaxis(image, -1, 0)
    )
    return np.stack(list(channels), -1)
