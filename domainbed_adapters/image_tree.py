"""Folders of images, ``environment/class/image``: what lies there, against what should.

DomainBed reads whatever sub-folders it finds, and numbers the classes of each environment apart: a
stray folder or a missing class shifts its labels without a word. Here both are errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_listing import Listing, folders_in, told_left_out
from oodbench.errors import RequestError


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
        left_out: What was left out of the folders and why, in lines of text.
    """

    root: Path
    environments: tuple[str, ...]
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    starts: tuple[int, ...]
    left_out: tuple[str, ...] = ()

    def rows_of(self, environment: int) -> NDArray[np.int64]:
        """Which files are those of an environment, by its index."""
        return np.arange(self.starts[environment], self.starts[environment + 1])


def read_tree(
    root: Path,
    environments: Sequence[str] = (),
    classes: Sequence[str] = (),
    num_classes: int | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> ImageTree:
    """List the images under ``root``.

    Args:
        root: The folder that holds the environments'.
        environments: The folders that must be there, and no others; none: any two or more.
        classes: The class folders that each must have, and no others; none: any, but the same ones
            in every environment.
        num_classes: How many there must be.
        labels: Name of a class folder -> the class that it is of, where that is another.

    Raises:
        RequestError: If a folder is missing, is there in excess, or has no image: which one; if a
            file is of two classes.
    """
    found = folders_in(root)
    _check(root, found, environments or found, "environments")
    if len(found) < 2:
        raise RequestError(
            f"{root} needs a folder for each environment, two at least, each with a folder for "
            f"each class; found {', '.join(found) or 'none'}."
        )
    folders = {name: _by_class(folders_in(root / name), labels) for name in found}
    kinds = list(classes) or sorted({kind for name in found for kind in folders[name]})
    if num_classes is not None and len(kinds) != num_classes:
        raise RequestError(
            f"{root} needs {num_classes} classes, but its environments have {len(kinds)}: "
            f"{some(kinds)}. Remove what is none, or unpack it again."
        )
    for name in found:
        _check(root / name, list(folders[name]), kinds, "classes")
    files: list[str] = []
    numbers: list[int] = []
    starts = [0]
    kinds.sort()
    listing = Listing(root)
    listing.note_outside("")
    for name in found:
        listing.note_outside(name)
        for label, kind in enumerate(kinds):
            for folder in folders[name][kind]:
                mine = listing.images_in(f"{name}/{folder}", name, kind)
                files += mine
                numbers += [label] * len(mine)
        starts.append(len(files))
    names = tuple(found), tuple(kinds), tuple(files)
    left_out = tuple(told_left_out(listing))
    return ImageTree(root, *names, np.array(numbers), tuple(starts), left_out)


def _by_class(folders: Sequence[str], labels: Mapping[str, str]) -> dict[str, list[str]]:
    """The folders of each class."""
    result: dict[str, list[str]] = {}
    for folder in folders:
        result.setdefault(labels.get(folder, folder), []).append(folder)
    return result


def _check(where: Path, found: Sequence[str], expected: Sequence[str], what: str) -> None:
    """Raise RequestError unless the folders are the expected ones."""
    missing = sorted(set(expected) - set(found))
    stray = sorted(set(found) - set(expected))
    if missing or stray:
        differs = [f"missing: {some(missing)}"] if missing else []
        differs += [f"not expected there: {some(stray)}"] if stray else []
        raise RequestError(
            f"{where} must have a folder for each of its {len(expected)} {what} "
            f"({some(expected)}) and no other; {'; '.join(differs)}. A missing or stray folder "
            "would shift labels; unpack the data again, or move it away."
        )


def some(names: Sequence[str], most: int = 12) -> str:
    """Names, the first ones of many."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
