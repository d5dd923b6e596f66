"""CIFAR-10's other test sets: CIFAR-10.1, CIFAR-10.2 and the corruptions of CIFAR-10-C."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.cifar_files import (
    NAME,
    SIZE,
    Labelled,
    check_count,
    checked_labels,
    sha256_of,
)
from oodbench.data import data_roots
from oodbench.errors import RequestError, UnknownNameError

CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""Corruptions in the order of Hendrycks & Dietterich 2019; its four others are for tuning."""
SEVERITIES = 5
CORRUPTED = tuple(f"{name}-{s}" for name in CORRUPTIONS for s in range(1, SEVERITIES + 1))
CIFAR_10_1 = {"cifar10.1-v4": 2021, "cifar10.1-v6": 2000}
CIFAR_10_2 = "cifar10.2"
CIFAR_10_2_IMAGES = 2000
TARGETS = (*CIFAR_10_1, CIFAR_10_2, *CORRUPTED)
GROUPS = {
    "cifar10.1": tuple(CIFAR_10_1),
    "cifar10-c": CORRUPTED,
    **{name: tuple(c for c in CORRUPTED if c.rpartition("-")[0] == name) for name in CORRUPTIONS},
}
"""What names several targets at once -> these."""
ALL = "all"


def wanted(option: Any) -> tuple[str, ...]:
    """The targets that the option ``targets`` asks for, in the order of ``TARGETS``.

    Args:
        option: ``all``: those whose files are on this machine. Else names of ``TARGETS`` or
            ``GROUPS``, one or a list.

    Raises:
        RequestError: If it names none.
        UnknownNameError: If there is no such target.
    """
    if option == ALL:
        return tuple(name for name in TARGETS if not missing(name))
    names = [option] if isinstance(option, str) else option
    listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not listed or not names:
        raise RequestError(
            f"{NAME}: targets must be all, or a list of names such as [cifar10.1-v6, cifar10-c, "
            f"fog-3]; got {option!r}."
        )
    chosen: set[str] = set()
    for name in names:
        if name not in TARGETS and name not in GROUPS:
            known = [*GROUPS, *CIFAR_10_1, CIFAR_10_2, *(f"{c}-1..5" for c in CORRUPTIONS)]
            raise UnknownNameError("target", name, known, where=NAME)
        chosen.update(GROUPS.get(name, (name,)))
    return tuple(name for name in TARGETS if name in chosen)


def files_of(target: str) -> tuple[str, ...]:
    """The files that a target is read from, under a data folder."""
    if target == CIFAR_10_2:
        return ("cifar-10.2/cifar102_test.npz",)
    if target in CIFAR_10_1:
        stem = f"CIFAR-10.1/datasets/{target.replace('-', '_')}"
        return (f"{stem}_data.npy", f"{stem}_labels.npy")
    return (f"CIFAR-10-C/{target.rpartition('-')[0]}.npy", "CIFAR-10-C/labels.npy")


def _place(file: str) -> Path | None:
    """Where a file is: as in its repository, or without the folder ``datasets`` there."""
    places = (
        root / name for root in data_roots() for name in (file, file.replace("datasets/", ""))
    )
    return next((place for place in places if place.is_file()), None)


def missing(target: str) -> list[str]:
    """The files of a target that are not on this machine."""
    return [file for file in files_of(target) if _place(file) is None]


def lacking(targets: Sequence[str] = TARGETS) -> list[str]:
    """The files, each once, of those targets that are not on this machine."""
    return list(dict.fromkeys(file for target in targets for file in missing(target)))


def read_target(target: str, partial: bool) -> Labelled:
    """The images of one target, in the order of its files.

    Raises:
        RequestError: If its files are not here, or are not what they must be.
    """
    if gone := missing(target):
        looked = " or ".join(map(str, data_roots())) or "any data folder; name one with --root"
        raise RequestError(
            f"{NAME}: the target {target} needs {' and '.join(files_of(target))}, but there is no "
            f"{' and no '.join(gone)} in {looked}. docs/cifar.md has where to get it."
        )
    first, *others = (place for file in files_of(target) if (place := _place(file)))
    if target == CIFAR_10_2:
        images, labels = (_load(first, key) for key in ("images", "labels"))
    else:
        images, labels = _load(first), _load(others[0])
    labelled = _labelled(first, images, labels, sha256_of([first, *others]))
    if target in CORRUPTED:
        return _severity(first, labelled, int(target.rpartition("-")[2]), partial)
    published = CIFAR_10_1.get(target, CIFAR_10_2_IMAGES)
    check_count(first, target, len(labelled), published, partial)
    return labelled


def _load(path: Path, key: str = "") -> Any:
    """An array of a .npy file, mapped, or of a .npz file."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        return found[key] if key else found
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{NAME}: {path} cannot be read: {error or type(error).__name__}. Get it again."
        ) from error


def _labelled(path: Path, images: Any, labels: Any, content: str) -> Labelled:
    """Published (n, 32, 32, 3) images as ours, (n, 3, 32, 32), without reading them."""
    shape, kind = getattr(images, "shape", ()), getattr(images, "dtype", None)
    if shape[1:] != (SIZE, SIZE, 3) or kind != np.uint8:
        raise RequestError(
            f"{NAME}: {path} must have bytes of the shape (n, {SIZE}, {SIZE}, 3), not {kind} of "
            f"the shape {shape}. Get it again."
        )
    turned: NDArray[np.uint8] = images.transpose(0, 3, 1, 2)
    return Labelled(turned, checked_labels(path, labels, len(images)), content)


def _severity(path: Path, every: Labelled, severity: int, partial: bool) -> Labelled:
    """The images of one severity, of a file that has those of all five one after the other."""
    n = len(every) // SEVERITIES
    blocks = every.labels[: n * SEVERITIES].reshape(SEVERITIES, n)
    if n * SEVERITIES != len(every) or (blocks != blocks[0]).any():
        raise RequestError(
            f"{NAME}: {path} must have the same test images five times, once for each severity, "
            f"and labels.npy their labels; its {len(every):,} images are not. Get both again."
        )
    check_count(path, f"severity {severity}", n, 10_000, partial)
    return every.only(slice((severity - 1) * n, severity * n))
