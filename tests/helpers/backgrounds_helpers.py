"""A small Backgrounds Challenge: the release's layout, and folders to train on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = (
    "00_dog",
    "01_bird",
    "02_wheeled vehicle",
    "03_reptile",
    "04_carnivore",
    "05_insect",
    "06_musical instrument",
    "07_primate",
    "08_fish",
)
VARIANTS = (
    "original",
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "no_fg",
    "only_bg_b",
    "only_bg_t",
)
SIZE = 16


def hue(label: int) -> np.ndarray:
    """A colour of its own for each class."""
    return np.array([40 + 20 * label, 220 - 20 * label, (70 * label) % 256])


def picture(rng: np.random.Generator, variant: str, label: int) -> Image.Image:
    """A square of the class's colour before a background of the variant's class."""
    behind = {"mixed_rand": int(rng.integers(9)), "mixed_next": (label + 1) % 9}.get(variant, label)
    pixels = np.zeros((SIZE, SIZE, 3))
    if variant != "only_fg":
        pixels[:] = hue(behind) // 2
    if variant in ("no_fg", "only_bg_b"):
        pixels[4:12, 4:12] = 0
    elif variant != "only_bg_t":
        pixels[4:12, 4:12] = hue(label)
    return Image.fromarray((pixels + rng.integers(0, 20, pixels.shape)).clip(0, 255).astype("u1"))


def foreground(label: int, number: int) -> str:
    """As ImageNet names an image."""
    return f"n{label + 1:08}_{number}"


def write(
    where: Path, variant: str, numbers: Iterable[int], seed: int, classes: Iterable[str] = CLASSES
) -> None:
    """Images of each class, named as the release names them."""
    rng = np.random.default_rng([seed, VARIANTS.index(variant)])
    for label, name in enumerate(classes):
        (where / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            stem = foreground(label, number)
            if variant.startswith("mixed"):
                stem = f"fg_{stem}_bg_n00000009_{rng.integers(999)}"
            picture(rng, variant, label).save(where / name / f"{stem}.JPEG", quality=95)


def write_release(root: Path, count: int = 3) -> Path:
    """``bg_challenge`` under ``root``, with masks: ``count`` foregrounds a class, from number 0."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[4:12, 4:12] = True
    for variant in VARIANTS:
        write(root / "bg_challenge" / variant / "val", variant, range(count), 0)
    for label, name in enumerate(CLASSES):
        folder = root / "bg_challenge" / "fg_mask" / "val" / name
        folder.mkdir(parents=True)
        for number in range(count):
            np.save(folder / f"{foreground(label, number)}.npy", mask)
    return root


def write_training(root: Path, name: str, variant: str, val: bool = True, count: int = 8) -> Path:
    """A training folder, whose foregrounds are numbered from 100."""
    write(root / name / "train", variant, range(100, 100 + count), 1)
    if val:
        write(root / name / "val", variant, range(200, 202), 2)
    return root
