"""What the Backgrounds Challenge reports of a classifier.

As MadryLab/backgrounds_challenge at 46d224b has it (``in9_eval.py``, ``challenge_eval.py``):
accuracy on each variant, the BG-gap, and the challenge score.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.backgrounds_files import (
    FOLDER,
    GET,
    NAME,
    SOURCE,
    Part,
    as_tree,
    read_release,
)
from domainbed_adapters.image_cache import Images, kept_images
from domainbed_adapters.in9 import CLASSES, VARIANTS
from oodbench.data import Predict
from oodbench.errors import RequestError

BATCH = 64
"""Images that a classifier is given at a time."""
MASKS = "fg_mask"


def measure(predict: Predict, size: int = 224, slow: bool = False) -> dict[str, tuple[float, int]]:
    """Score a classifier on the release of this machine.

    Args:
        predict: The classifier.
        size: Height and width of the images; the release has them at 224, and there no pixel is
            changed.
        slow: Also the challenge score, which may take 16 million predictions.

    Returns:
        Score -> value, and how many test images it rests on: accuracy on each variant;
        ``bg_gap``, accuracy on ``mixed_same`` minus that on ``mixed_rand``; ``challenge``, the
        share of foregrounds that no background turns into another class.

    Raises:
        RequestError: If the release, or its masks where they are needed, are not here.
    """
    root = SOURCE.find()
    release = read_release(root)
    if slow:
        check_masks(root, release["original"], size)
    tree = as_tree(root, list(release.values()))
    pixels, _, _ = kept_images(f"{NAME}-release", tree, size, "fail", fit="crop")
    scores = {}
    for i, variant in enumerate(VARIANTS):
        rows = tree.rows_of(i)
        scores[variant] = accuracy(predict, pixels, rows, tree.labels), len(rows)
    gap = scores["mixed_same"][0] - scores["mixed_rand"][0]
    result = {**scores, "bg_gap": (gap, scores["mixed_rand"][1])}
    if slow:
        rows = tree.rows_of(VARIANTS.index("original"))
        backgrounds = pixels[tree.rows_of(VARIANTS.index("only_bg_t"))]
        masks = (np.load(path) for path in mask_paths(root, release["original"]))
        foregrounds = zip((pixels[row] for row in rows), masks, tree.labels[rows], strict=True)
        result["challenge"] = challenge(predict, foregrounds, backgrounds), len(rows)
    return result


def accuracy(
    predict: Predict, pixels: Images, rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> float:
    """The share of right predictions on some of the images."""
    right = 0
    for start in range(0, len(rows), BATCH):
        mine = rows[start : start + BATCH]
        right += int((predict(pixels[mine]) == labels[mine]).sum())
    return right / len(rows)


def challenge(
    predict: Predict,
    foregrounds: "Iterator[tuple[NDArray[np.uint8], NDArray[Any], Any]]",
    backgrounds: NDArray[np.uint8],
) -> float:
    """The share of foregrounds that keep their class before each of the backgrounds.

    A background that has turned many others is tried first, for one is enough: that changes how
    long it takes, and not what comes out.

    Args:
        predict: The classifier.
        foregrounds: (3, h, w) images, each with the (h, w) mask of its foreground and its class.
        backgrounds: (n, 3, h, w).
    """
    turned = np.zeros(len(backgrounds), np.int64)
    robust = total = 0
    for image, mask, label in foregrounds:
        total += 1
        order = np.argsort(-turned, kind="stable")
        for start in range(0, len(order), BATCH):
            which = order[start : start + BATCH]
            composed = np.where(mask.astype(bool), image, backgrounds[which])
            wrong = predict(composed) != label
            turned[which[wrong]] += 1
            if wrong.any():
                break
        else:
            robust += 1
    return robust / total


def mask_paths(root: Path, originals: Part) -> list[Path]:
    """The file of each original's mask."""
    folder = root / FOLDER / MASKS / "val"
    labelled = zip(originals.files, originals.labels, strict=True)
    return [folder / CLASSES[label] / f"{Path(file).stem}.npy" for file, label in labelled]


def check_masks(root: Path, originals: Part, size: int) -> None:
    """Raise RequestError unless each original has a mask of its size."""
    paths = mask_paths(root, originals)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise RequestError(
            f"{NAME}: {len(missing)} of {len(paths)} foreground masks are missing, first "
            f"{missing[0]}; {GET}"
        )
    shape = np.load(paths[0]).shape
    if shape != (size, size):
        raise RequestError(
            f"{NAME}: the masks are {shape}, but the images are scaled to {size} x {size}. The "
            "challenge score needs the images at the size of the release."
        )
