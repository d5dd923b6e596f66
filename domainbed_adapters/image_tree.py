"""Folders of images, ``environment/class/image``: what lies there, against what should.

DomainBed reads whatever sub-folders it finds, and numbers the classes of each environment apart: a
stray folder or a missing class shifts its labels without a word. Here both are errors.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Those that torchvision's ``ImageFolder`` reads; other files are left out, as there."""


@dataclass(frozen=True, eq=False)
class ImageTree:
    """The images of all environments, environment after environment, each in torchvision's order.

    Attributes:
        root: The folder that holds the environments'.
        environments: Names of their folders, in order.
        classes: Names of the classes' folders, in the order of their labels.
        files: Paths under ``root``.
        labels: (n,) the class of each file.
        starts: Where each environment's files begin, and the end of the last.
    """

    root: Path
    environments: tuple[str, ...]
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    starts: tuple[int, ...]

    def rows_of(self, environment: int) -> NDArray[np.int64]:
        """Which files are those of an environment, by its index."""
        return np.arange(self.starts[environment], self.starts[environment + 1])


def folders_in(path: Path) -> list[str]:
    """Names of the folders there, in order; hidden ones are none."""
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def read_tree(
    root: Path,
    environments: Sequence[str] = (),
    classes: Sequence[str] = (),
    num_classes: int | None = None,
) -> ImageTree:
    """List the images under ``root``.

    Args:
        root: The folder that holds the environments'.
        environments: The folders that must be there, and no others; none: any two or more.
        classes: The class folders that each must have, and no others; none: any, but the same ones
            in every environment.
        num_classes: How many there must be.

    Raises:
        RequestError: If a folder is missing, is there in excess, or has no image: which one.
    """
    found = folders_in(root)
    _check(root, found, environments or found, "environments")
    if len(found) < 2:
        raise RequestError(
            f"{root} needs a folder for each environment, two at least, each with a folder for "
            f"each class; found {', '.join(found) or 'none'}."
        )
    kinds = list(classes) or sorted({kind for name in found for kind in folders_in(root / name)})
    if num_classes is not None and len(kinds) != num_classes:
        raise RequestError(
            f"{root} needs {num_classes} classes, but its environments have {len(kinds)}: "
            f"{some(kinds)}. Remove what is none, or unpack it again."
        )
    for name in found:
        _check(root / name, folders_in(root / name), kinds, "classes")
    files: list[str] = []
    labels: list[int] = []
    starts = [0]
    kinds.sort()
    for name in found:
        for label, kind in enumerate(kinds):
            mine = images_in(root, f"{name}/{kind}")
            files += mine
            labels += [label] * len(mine)
        starts.append(len(files))
    numbers = np.array(labels)
    return ImageTree(root, tuple(found), tuple(kinds), tuple(files), numbers, tuple(starts))


def images_in(root: Path, folder: str) -> list[str]:
    """Images in a class folder and below it, in the order of torchvision's ``make_dataset``.

    Raises:
        RequestError: If it has none.
    """
    found = []
    for here, _, names in sorted(os.walk(root / folder, followlinks=True)):
        within = Path(here).relative_to(root).as_posix()
        found += [f"{within}/{name}" for name in sorted(names) if name.lower().endswith(EXTENSIONS)]
    if not found:
        raise RequestError(f"{root / folder} has no image ({', '.join(EXTENSIONS)}).")
    return found


def _check(where: Path, found: Sequence[str], expected: Sequence[str], what: str) -> None:
    """Raise RequestError unless the folders are the expected ones."""
    missing = sorted(set(expected) - set(found))
    stray = sorted(set(found) - set(expected))
    if missing or stray:
        told = [f"missing: {some(missing)}"] if missing else []
        told += [f"not expected there: {some(stray)}"] if stray else []
        raise RequestError(
            f"{where} must have a folder for each of its {len(expected)} {what} "
            f"({some(expected)}) and no other; {'; '.join(told)}. A missing or stray folder would "
            "shift labels; unpack the data again, or move it away."
        )


def some(names: Sequence[str], most: int = 12) -> str:
    """Names, the first ones of many."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
