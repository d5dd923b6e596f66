"""MNIST's four files, as torchvision lays them out: found, verified, read."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domainbed_adapters import idx
from domainbed_adapters.dealing import Images, Labels
from oodbench.errors import RequestError

FOLDER = "MNIST/raw"
"""Under a data folder."""
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""File -> md5 of its uncompressed content. torchvision knows only those of the .gz files."""


@dataclass(frozen=True)
class Digits:
    """All 70,000 digits: first the 60,000 of MNIST's training part, then the 10,000 of its test.

    Attributes:
        images: (70000, 28, 28).
        labels: (70000,), 0 to 9.
    """

    images: Images
    labels: Labels


def md5(data: bytes) -> str:
    """The MD5 of data, in the form of ``FILES``."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def read_file(folder: Path, name: str) -> bytes:
    """The verified content of one of ``FILES``, which may be plain or ``.gz``.

    Raises:
        ValueError: If it is missing or is another file; the message says what was found.
    """
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.exists()), None)
    if path is None:
        raise ValueError(f"{name}[.gz] is missing")
    try:
        data = idx.contents(path)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path.name} {error}") from error
    if md5(data) != FILES[name]:
        what = "uncompressed content" if path.suffix == ".gz" else "content"
        raise ValueError(f"{path.name} has {what} with md5 {md5(data)}, not {FILES[name]}")
    return data


def read_all(root: Path) -> dict[str, bytes]:
    """The verified content of the four files under a data folder; writes nothing.

    Raises:
        RequestError: With a line for each file that is missing or wrong.
    """
    folder, found, wrong = root / FOLDER, {}, []
    for name in FILES:
        try:
            found[name] = read_file(folder, name)
        except ValueError as error:
            wrong.append(f"\n  {error}")
    if wrong:
        raise RequestError(
            f"MNIST in {folder} is not the original one:{''.join(wrong)}\n"
            "It needs MNIST's four idx files, plain or .gz. Get them: "
            f"oodbench fetch MNIST --root {root}"
        )
    return found


def read(root: Path) -> Digits:
    """Read MNIST from a data folder.

    Raises:
        RequestError: If files are missing or are not MNIST's.
    """
    images, labels, test_images, test_labels = map(idx.parse, read_all(root).values())
    return Digits(
        np.concatenate([images, test_images]),
        np.concatenate([labels, test_labels]).astype(np.int64),
    )
