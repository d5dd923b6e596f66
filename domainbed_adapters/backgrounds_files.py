"""Files of the Backgrounds Challenge: its release of test images, and folders to train on."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_listing import Listing, folders_in
from domainbed_adapters.image_tree import ImageTree
from domainbed_adapters.in9 import CLASSES, IMAGENET, VARIANTS, of_imagenet
from oodbench.data import Source, data_roots
from oodbench.data.sources import root_with
from oodbench.errors import RequestError

NAME = "BackgroundsChallenge"
FOLDER = "bg_challenge"
GET = (
    "the test images are backgrounds_challenge_data.tar.gz of the release `data` of "
    "github.com/MadryLab/backgrounds_challenge, unpacked there; see docs/backgrounds.md."
)
TRAINING = (
    "The published links to IN-9's training images are dead: have a folder that you or a colleague "
    "kept (in9l, original, mixed_rand, ...), or name one with ImageNet-1k (train/WNID/IMAGE), from "
    "which IN-9 is made; see docs/backgrounds.md."
)
WNID = re.compile(r"n\d{8}")
FOREGROUND = re.compile(r"(?:fg_)?(n\d+_\d+)(?:_bg_.*)?")


@dataclass(frozen=True, eq=False)
class Part:
    """Images that play one part.

    Attributes:
        root: The folder that ``files`` are under.
        files: Paths of the images.
        labels: (n,) 0 to 8.
    """

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.files)

    def only(self, chosen: NDArray[np.bool_]) -> "Part":
        """The marked files, by a mask (n,)."""
        files = tuple(f for f, mine in zip(self.files, chosen, strict=True) if mine)
        return Part(self.root, files, self.labels[chosen])

    @property
    def foregrounds(self) -> NDArray[np.str_]:
        """(n,) the name of the ImageNet image that each one's foreground comes from."""
        stems = (Path(file).stem for file in self.files)
        found = [m[1] if (m := FOREGROUND.fullmatch(stem)) else stem for stem in stems]
        return np.array(found, dtype=np.str_)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(n,) a number for each foreground: the same wherever and with whatever it is shown."""
        digests = (hashlib.sha256(name.encode()).digest() for name in self.foregrounds)
        return np.array([int.from_bytes(d[:8]) >> 1 for d in digests], dtype=np.int64)


def read_release(root: Path) -> dict[str, Part]:
    """The test images under the data folder ``root``, variant by variant.

    Raises:
        RequestError: If a variant or a class is missing or has fewer or more images than another
            variant: which one.
    """
    for variant in VARIANTS:
        where = root / FOLDER / variant / "val"
        if not where.is_dir():
            there = ", ".join(folders_in(root / FOLDER)) if (root / FOLDER).is_dir() else "nothing"
            raise RequestError(
                f"{NAME} needs {FOLDER}/VARIANT/val for each variant ({', '.join(VARIANTS)}); "
                f"there is no {where}, only {there} in {root / FOLDER}. Unpack it again: {GET}"
            )
    result = {v: read_classes(root / FOLDER / v / "val") for v in VARIANTS}
    expected = np.bincount(result["original"].labels, minlength=len(CLASSES))
    for variant, part in result.items():
        counts = np.bincount(part.labels, minlength=len(CLASSES))
        for name, n, wanted in zip(CLASSES, counts, expected, strict=True):
            if n != wanted:
                raise RequestError(
                    f"{NAME}: {root / FOLDER / variant / 'val' / name} has {n} images, but the "
                    f"variant original has {wanted} of that class; every variant shows the same "
                    f"ones. One of the two is incomplete: {GET}"
                )
    return result


def read_classes(where: Path) -> Part:
    """The images of a folder that has IN-9's nine class folders, and no other.

    Raises:
        RequestError: If it has not.
    """
    found = folders_in(where)
    if tuple(found) != CLASSES:
        missing = sorted(set(CLASSES) - set(found))
        stray = sorted(set(found) - set(CLASSES))
        raise RequestError(
            f"{NAME}: {where} must have the nine folders {', '.join(CLASSES)}; missing: "
            f"{', '.join(missing) or 'none'}; not expected there: {', '.join(stray[:9]) or 'none'}."
        )
    return _labelled(where, enumerate(CLASSES), where)


def read_training(folder: str) -> dict[str, Part]:
    """The images of one training folder of this machine: ``train``, and ``val`` if it has that.

    Args:
        folder: Its name under a data folder. It is laid out as IN-9's training sets are,
            ``{train,val}/NN_class/IMAGE``, or as ImageNet-1k is, ``train/WNID/IMAGE``; of that, the
            370 classes are read that belong to IN-9, and its validation images are not.

    Raises:
        RequestError: If it is not there, or is neither.
    """
    where = find_training(folder)
    if not any(WNID.fullmatch(name) for name in folders_in(where / "train")):
        parts = ("train", "val") if (where / "val").is_dir() else ("train",)
        return {part: read_classes(where / part) for part in parts}
    wnids = [name for name in folders_in(where / "train") if WNID.fullmatch(name)]
    if len(wnids) != IMAGENET:
        raise RequestError(
            f"{NAME}: {where / 'train'} has {len(wnids)} folders of ImageNet classes (n01440764, "
            f"...), but all {IMAGENET} are needed: which belong to IN-9 goes by their order."
        )
    mine = [(label, wnid) for wnid, label in zip(wnids, of_imagenet(), strict=True) if label >= 0]
    return {"train": _labelled(where / "train", mine, where)}


def find_training(folder: str) -> Path:
    """The training folder of that name under a data folder of this machine.

    Raises:
        RequestError: If there is none.
    """
    if root := root_with(f"{folder}/train"):
        return root / folder
    looked = " or ".join(str(root / folder / "train") for root in data_roots())
    raise RequestError(
        f"{NAME} trains on the images in {folder}/train/NN_class (or train/WNID) under a data "
        f"folder, but there is no {looked or 'data folder: name one with --root'}. {TRAINING}"
    )


def _labelled(
    where: Path, folders: "enumerate[str] | Sequence[tuple[int, str]]", root: Path
) -> Part:
    """The images of class folders under ``where``, each with its label."""
    files: list[str] = []
    labels: list[int] = []
    listing = Listing(root)
    for label, name in folders:
        mine = listing.images_in((where / name).relative_to(root).as_posix(), "", str(label))
        files += mine
        labels += [label] * len(mine)
    return Part(root, tuple(files), np.array(labels, dtype=np.int64))


def as_tree(root: Path, parts: Sequence[Part]) -> ImageTree:
    """All parts' images as one tree, part after part.

    Args:
        root: The data folder; paths of files under it are relative to it, so that its place does
            not matter, others are whole.
    """
    files: list[str] = []
    for part in parts:
        within = part.root.relative_to(root) if part.root.is_relative_to(root) else part.root
        files += [(within / file).as_posix() for file in part.files]
    starts = np.cumsum([0, *map(len, parts)])
    labels = np.concatenate([part.labels for part in parts])
    names = tuple(str(i) for i in range(len(parts)))
    return ImageTree(root, names, CLASSES, tuple(files), labels, tuple(starts.tolist()))


SOURCE = Source(NAME, FOLDER, read_release, get=GET)
