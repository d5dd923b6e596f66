"""ImageNet's folders, those of the test sets that others made for it, and the classes of each.

Which classes a test set has is read from its own folders, against the number that was published.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_fitting import Fit
from domainbed_adapters.image_listing import Listing, folders_in
from domainbed_adapters.image_tree import ImageTree, some
from domainbed_adapters.objectnet import OVERLAP, overlap
from oodbench.data import data_roots
from oodbench.data.sources import root_with
from oodbench.errors import RequestError, UnknownNameError

NAME = "ImageNet"
CLASSES = 1000
WNID = re.compile(r"n\d{8}")
Where = tuple[str, ...]
"""Folders under a data folder, the first of which that is there is read."""


@dataclass(frozen=True)
class Target:
    """A test set.

    Attributes:
        folders: See ``Where``.
        images: How many were published; 0: its release has images of other classes as well.
        classes: Number of ImageNet's classes that it has.
        kind: What its class folders are called by: ``wnid``, the ``index`` of the class, or
            ``objectnet``, names of its own.
    """

    folders: Where
    images: int
    classes: int = CLASSES
    kind: str = "wnid"


def _v2(name: str) -> Target:
    return Target((f"imagenetv2-{name}-format-val",), 10_000, kind="index")


TARGETS = {
    "imagenetv2": _v2("matched-frequency"),
    "imagenetv2-threshold0.7": _v2("threshold0.7"),
    "imagenetv2-top-images": _v2("top-images"),
    "imagenet-a": Target(("imagenet-a",), 7_500, 200),
    "imagenet-r": Target(("imagenet-r",), 30_000, 200),
    "imagenet-sketch": Target(("sketch", "imagenet-sketch"), 50_889),
    "objectnet": Target(("objectnet-1.0/images",), 0, OVERLAP, "objectnet"),
}
ALL = "all"


@dataclass(frozen=True, eq=False)
class Pictures:
    """Files of images of some of ImageNet's classes.

    Attributes:
        tree: Their labels are 0 to 999; one environment.
        counts_as: See ``oodbench.data.Environment``.
        fit: See ``read_image``.
    """

    tree: ImageTree
    counts_as: NDArray[np.int64] | None = None
    fit: Fit = "centre"


def wanted(option: Any) -> tuple[str, ...]:
    """The targets that the option ``targets`` asks for, in the order of ``TARGETS``.

    Raises:
        RequestError: If it names none.
        UnknownNameError: If there is no such target.
    """
    if option == ALL:
        return tuple(name for name, target in TARGETS.items() if place(target.folders))
    names = [option] if isinstance(option, str) else option
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listed or not names:
        raise RequestError(
            f"{NAME}: targets must be all, or a list of names such as [imagenetv2, imagenet-a]; "
            f"got {option!r}."
        )
    for name in names:
        if name not in TARGETS:
            raise UnknownNameError("target", name, TARGETS, where=NAME)
    return tuple(name for name in TARGETS if name in names)


def place(folders: Where) -> Path | None:
    """Where the first of these folders is that a data folder has; None: nowhere."""
    found = ((root_with(folder), folder) for folder in folders)
    return next((root / folder for root, folder in found if root), None)


def wnids_of(where: Path) -> tuple[str, ...]:
    """Names of the class folders there that are WordNet ids, in order."""
    return tuple(name for name in folders_in(where) if WNID.fullmatch(name))


def all_classes(folder: str) -> tuple[str, ...]:
    """The ids of ImageNet's 1,000 classes, in the order of their numbers: that of the ids.

    Args:
        folder: That of ImageNet, which need not be there if another folder has all classes.

    Raises:
        RequestError: If no folder has them.
    """
    for name in (f"{folder}/val", f"{folder}/train", *TARGETS["imagenet-sketch"].folders):
        where = place((name,))
        if where and len(found := wnids_of(where)) == CLASSES:
            return found
    looked = " or ".join(map(str, data_roots())) or "any data folder; name one with --root"
    raise RequestError(
        f"{NAME}: which number a class has goes by the order of all {CLASSES} ids, but there is no "
        f"{folder}/val, {folder}/train or sketch with a folder for each class (n01440764, ...) in "
        f"{looked}. Sort ImageNet's validation images into such folders."
    )


def read_own(folder: str, part: str, wnids: Sequence[str]) -> Pictures:
    """The images of ``train`` or ``val`` of ImageNet itself.

    Raises:
        RequestError: If they are not there, or a class is missing.
    """
    where = place((f"{folder}/{part}",))
    if where is None:
        looked = " or ".join(map(str, data_roots())) or "any data folder; name one with --root"
        raise RequestError(f"{NAME}: there is no {folder}/{part} in {looked}.")
    _check_classes(where, wnids_of(where), CLASSES)
    return Pictures(_tree(where, part, list(enumerate(wnids))))


def read_target(name: str, wnids: Sequence[str], partial: bool) -> Pictures:
    """The images of a target, and how its classes go with ImageNet's.

    Args:
        name: One of ``TARGETS``.
        wnids: All of ImageNet's classes.
        partial: Whether there may be fewer images than were published.

    Raises:
        RequestError: If it is not there, or its classes or images are not those published.
    """
    target = TARGETS[name]
    where = place(target.folders)
    if where is None:
        looked = " or ".join(map(str, data_roots())) or "any data folder; name one with --root"
        raise RequestError(
            f"{NAME}: the target {name} needs the folder {' or '.join(target.folders)}, but there "
            f"is none in {looked}. docs/cifar.md has where to get it."
        )
    if target.kind == "objectnet":
        return _objectnet(where)
    if target.kind == "index":
        found: Sequence[str] = [one for one in folders_in(where) if one.isdigit()]
        numbers = {one: int(one) for one in found}
    else:
        found = wnids_of(where)
        numbers = {one: wnids.index(one) for one in found if one in wnids}
    _check_classes(where, found, target.classes)
    if len(numbers) < len(found) or not set(numbers.values()) <= {*range(CLASSES)}:
        raise RequestError(f"{NAME}: {where} has class folders that are none of ImageNet's.")
    tree = _tree(where, name, sorted((number, folder) for folder, number in numbers.items()))
    if len(tree.files) > target.images or (len(tree.files) < target.images and not partial):
        raise RequestError(
            f"{NAME}: {where} has {len(tree.files):,} images, but {target.images:,} were "
            "published. Unpack it again, or set partial: true in the sweep file to do with fewer."
        )
    if target.classes == CLASSES:
        return Pictures(tree)
    counts_as = np.full(CLASSES, -1)
    counts_as[list(numbers.values())] = list(numbers.values())
    return Pictures(tree, counts_as)


def _objectnet(where: Path) -> Pictures:
    """ObjectNet's images of ImageNet's classes; the first of several classes is the label."""
    groups = overlap(where.parent / "mappings")
    there = set(folders_in(where))
    _check_classes(where, [folder for folder in groups if folder in there], OVERLAP)
    counts_as = np.full(CLASSES, -1)
    for numbers in groups.values():
        counts_as[list(numbers)] = numbers[0]
    labelled = sorted((numbers[0], folder) for folder, numbers in groups.items())
    return Pictures(_tree(where, "objectnet", labelled), counts_as, "bordered")


def _check_classes(where: Path, found: Sequence[str], expected: int) -> None:
    if len(found) != expected:
        raise RequestError(
            f"{NAME}: {where} has folders of {len(found)} of the classes ({some(found, 6)}), but "
            f"{expected} were published. Unpack it again: the answer is that among its classes."
        )


def _tree(where: Path, name: str, labelled: Sequence[tuple[int, str]]) -> ImageTree:
    """The images of class folders under ``where``, each with its label."""
    files: list[str] = []
    labels: list[int] = []
    listing = Listing(where)
    for label, folder in labelled:
        mine = listing.images_in(folder, "", folder)
        files += mine
        labels += [label] * len(mine)
    folders = tuple(folder for _, folder in labelled)
    return ImageTree(where, (name,), folders, tuple(files), np.array(labels), (0, len(files)))
