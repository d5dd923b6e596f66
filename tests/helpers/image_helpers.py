"""Small folders of images, each told apart by its colour."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

ENVIRONMENTS = ("art_painting", "cartoon", "photo", "sketch")
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")


def image(seed: int, size: tuple[int, int] = (20, 30)) -> Image.Image:
    """Noise: (width, height) pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_tree(
    root: Path,
    environments: Iterable[str] = ENVIRONMENTS,
    classes: Iterable[str] = CLASSES,
    count: int = 10,
) -> Path:
    """``count`` images of each class in each environment, as .png files: nothing is lost."""
    seed = 0
    for environment in environments:
        for kind in classes:
            folder = root / environment / kind
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image(seed).save(folder / f"pic_{number:03}.png")
                seed += 1
    return root
