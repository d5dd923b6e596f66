"""CIFAR-10 itself: the six batches for Python as published, or a folder of image files."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.array_pickles import read_arrays
from domainbed_adapters.image_cache import content_of, kept_images
from domainbed_adapters.image_listing import folders_in
from domainbed_adapters.image_tree import read_tree
from domainbed_adapters.own_files import check_folder
from oodbench.data import data_roots
from oodbench.data.cache import cached
from oodbench.data.on_demand import on_demand
from oodbench.data.sources import root_with
from oodbench.errors import RequestError

NAME = "CIFAR10"
SIZE = 32
"""Height and width of the images, in pixels."""
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""Names of the classes, in the order of the labels."""
PUBLISHED = {"train": 50_000, "test": 10_000}
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
GET = (
    "get cifar-10-python.tar.gz from www.cs.toronto.edu/~kriz/cifar.html and unpack it under a "
    "data folder, or name a folder with train/CLASS/IMAGE and test/CLASS/IMAGE."
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and what they show.

    Attributes:
        images: (n, 3, 32, 32) bytes, mapped from a file where that is possible.
        labels: (n,) 0 to 9.
        content: A hash of the files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    content: str

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, rows: NDArray[np.int64] | slice) -> "Labelled":
        """Some of them; mapped images stay mapped where ``rows`` is a slice."""
        return Labelled(self.images[rows], self.labels[rows], self.content)


def find(folder: Any) -> Path:
    """The folder of that name under a data folder of this machine.

    Raises:
        RequestError: If there is none.
    """
    named = check_folder(NAME, folder)
    if root := root_with(named):
        return root / named
    looked = " or ".join(str(root / folder) for root in data_roots())
    raise RequestError(
        f"{NAME}: there is no {looked or 'data folder: name one with --root'}; {GET}"
    )


def read(where: Path, corrupt: Any, partial: bool) -> dict[str, Labelled]:
    """The images of ``train`` and ``test``, each in the order of its files.

    Args:
        where: A folder with ``data_batch_1`` to ``data_batch_5`` and ``test_batch``, or with
            ``train`` and ``test``, each with a folder for each class.
        corrupt: ``fail`` or ``skip`` where an image file is none.
        partial: Whether there may be fewer images than were published.

    Raises:
        RequestError: If files are missing or are not what they must be.
    """
    batches = any((where / name).exists() for names in BATCHES.values() for name in names)
    found = _read_batches(where) if batches else _read_folders(where, corrupt)
    for part, labelled in found.items():
        check_count(where, part, len(labelled), PUBLISHED[part], partial)
    return found


def check_count(where: Path, what: str, found: int, published: int, partial: bool) -> None:
    """Raise RequestError if there are fewer images than published, unless that is allowed."""
    if found > published or (found < published and not partial):
        hint = "" if found > published else ", or set partial: true to do with fewer"
        raise RequestError(
            f"{NAME}: {where} has {found:,} images of {what}, but {published:,} were published. "
            f"Get them again{hint}."
        )


def _read_batches(where: Path) -> dict[str, Labelled]:
    result = {}
    for part, names in BATCHES.items():
        found = [_read_batch(where / name) for name in names]
        images, labels = (np.concatenate(column) for column in zip(*found, strict=True))
        content = sha256_of([where / name for name in names])
        result[part] = Labelled(images, labels, content)
    return result


def _read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, 3, 32, 32) images and (n,) labels of one file."""
    held = read_arrays(path)
    data, labels = (_item(held, key) for key in ("data", "labels"))
    values = 3 * SIZE**2
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (values,):
        raise RequestError(f"{path} has no data of {values} bytes for each image; {GET}")
    return data.reshape(-1, 3, SIZE, SIZE), checked_labels(path, labels, len(data))


def _item(held: Any, key: str) -> Any:
    """What a dict has under a text, which Python 2 wrote as bytes."""
    return held.get(key, held.get(key.encode())) if isinstance(held, dict) else None


def checked_labels(path: Path, labels: Any, n: int) -> NDArray[np.int64]:
    """The labels of n images.

    Raises:
        RequestError: If there are more or fewer, or one is not a whole number from 0 to 9.
    """
    try:
        numbers = np.asarray(labels)
    except ValueError:  # rows of different lengths
        numbers = np.empty(0)
    right = numbers.shape == (n,) and numbers.dtype.kind in "iu"
    if not right or not np.isin(numbers, range(len(CLASSES))).all():
        raise RequestError(f"{path} must have a label from 0 to 9 for each of {n:,} images; {GET}")
    return numbers.astype(np.int64)


def _read_folders(where: Path, corrupt: Any) -> dict[str, Labelled]:
    parts = ("train", "test")
    if missing := sorted(set(parts) - set(folders_in(where))):
        raise RequestError(
            f"{NAME}: {where} has neither data_batch_1 nor a folder {missing[0]}; {GET}"
        )
    tree = read_tree(where, sorted(parts), CLASSES)
    with on_demand(False):  # all of them are read
        pixels, there, content = kept_images(NAME, tree, SIZE, corrupt)
    result = {}
    for i, part in enumerate(tree.environments):
        rows = np.intersect1d(tree.rows_of(i), there)
        all_there = len(rows) == len(tree.rows_of(i))
        kept = slice(*tree.starts[i : i + 2]) if all_there else rows  # a slice stays mapped
        result[part] = Labelled(pixels[kept], tree.labels[kept], content)
    return result


def sha256_of(paths: Sequence[Path]) -> str:
    """One hash of the content of some files; each file is read once, unless it changes."""
    stats = [path.stat() for path in paths]
    key = [[str(p), s.st_size, s.st_mtime_ns] for p, s in zip(paths, stats, strict=True)]

    def digest() -> NDArray[np.uint8]:
        return np.frombuffer(b"".join(map(_sha256, paths)), np.uint8)

    return content_of([bytes(cached(f"{NAME}-sha256", key, digest))])


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
