"""CIFAR-10, and the test sets that others made for it, each a target of its own.

Training images are split into ``train`` and ``val``; the 10,000 test images are ``test``, so ID
accuracy is the usual one. Nothing is trained on a target: each is scored as out of distribution.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.cifar_files import CLASSES, NAME, SIZE, Labelled, find, read
from domainbed_adapters.cifar_targets import (
    ALL,
    CORRUPTED,
    TARGETS,
    lacking,
    read_target,
    wanted,
)
from domainbed_adapters.image_cache import content_of
from domainbed_adapters.image_folders import AUGMENT, check_holdout, check_image_options, recipe_of
from domainbed_adapters.image_tree import some
from domainbed_adapters.joined_images import JoinedImages
from domainbed_adapters.own_files import check_folder
from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Split
from oodbench.errors import RequestError
from oodbench.seeds import stream

ID = "cifar10"
"""The environment that is trained on; the targets follow."""
OPTIONS: dict[str, Any] = {
    "folder": "cifar-10-batches-py",
    "targets": ALL,
    "per_corruption": 10_000,
    "size": SIZE,
    "holdout": 0.1,
    "augment": "none",
    "corrupt": "fail",
    "partial": False,
}
"""``folder``: that of the six batches, or one with ``{train,test}/CLASS/IMAGE``. ``targets``: names
or groups of targets; ``all``: those whose files are here. ``per_corruption``: how many test images
are scored under each corruption, the same ones under all. ``size``: height and width that images
are enlarged to. ``holdout``: share of the training images that is ``val``. ``augment``,
``corrupt``: as for folders of images. ``partial``: whether files may have fewer images than were
published."""


@dataclass(frozen=True)
class Settings:
    """The options that are not names of files."""

    per_corruption: Any
    size: Any
    holdout: Any
    augment: Any
    corrupt: Any
    partial: Any

    def check(self) -> None:
        """Raise RequestError unless they are what they must be."""
        check_image_options(NAME, self.size, self.corrupt)
        check_holdout(NAME, self.holdout)
        if self.augment not in AUGMENT:
            raise RequestError(
                f"{NAME}: augment must be one of {', '.join(AUGMENT)}, not {self.augment!r}."
            )
        if type(self.partial) is not bool:
            raise RequestError(f"{NAME}: partial must be true or false, not {self.partial!r}.")
        if type(self.per_corruption) is not int or self.per_corruption < 1:
            raise RequestError(
                f"{NAME}: per_corruption must be a whole number above 0, not "
                f"{self.per_corruption!r}."
            )


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    given = dict(options)
    check_folder(NAME, given.pop("folder"))
    wanted(given.pop("targets"))
    Settings(**given).check()


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the targets that these options ask for.

    Its authors report the mean over the targets of CIFAR-10-C, where these are all.
    """
    targets = wanted(options.get("targets", ALL))
    indices = tuple(range(1, len(targets) + 1))
    return replace(
        SPEC,
        environments=(ID, *targets),
        apart=indices,
        targets=indices,
        mean_of_targets=targets == CORRUPTED,
    )


def verify(options: Mapping[str, Any]) -> Path:
    """The folder with CIFAR-10, if it and all targets that are asked for can be read."""
    given = {**OPTIONS, **options}
    where = find(given["folder"])
    read(where, given["corrupt"], given["partial"])
    for target in wanted(given["targets"]):
        read_target(target, given["partial"])
    return where


def summarize(options: Mapping[str, Any]) -> list[str]:
    """The targets that are here, and the files of those that are not."""
    targets = wanted({**OPTIONS, **options}["targets"])
    lines = [f"  {len(targets)} targets: {some(targets) or 'none'}"]
    if gone := lacking():
        lines.append(f"  left out, for these files are not here: {some(gone)}")
    return lines


def build(data_seed: int, folder: Any, targets: Any, **settings: Any) -> Dataset:
    """(3, size, size) images, ten classes.

    Raises:
        RequestError: If an option is not what it must be, or files are missing or damaged.
    """
    asked = Settings(**settings)
    own = read(find(folder), asked.corrupt, asked.partial)
    others = {name: read_target(name, asked.partial) for name in wanted(targets)}
    parts = [own["train"], own["test"], *others.values()]
    numbers = numbered(own, others)
    chosen = [np.arange(len(part)) for part in parts[:2]]
    chosen += [shown(name, len(part), asked, data_seed) for name, part in others.items()]
    # What is trained on lies in memory, where a GPU may have it; enlarged, it may not fit.
    first = 2 if asked.size == SIZE else 0
    pieces = [Rows(part.images, rows) for part, rows in zip(parts, chosen, strict=True)]
    images = JoinedImages(tuple(pieces[first:]), asked.size)

    def split(place: int, rows: NDArray[np.int64] | None = None) -> Split:
        """Some of the images of a part, of those that were chosen."""
        rows = np.arange(len(chosen[place])) if rows is None else rows
        if place < first:
            inputs: Any = pieces[place][rows]
        else:
            inputs = Rows(images, images.starts[place - first] + rows)
        which = chosen[place][rows]
        return Split(inputs, parts[place].labels[which], examples=numbers[place][which])

    order = stream(data_seed, NAME, "split").permutation(len(own["train"]))
    held = max(1, round(asked.holdout * len(order)))
    splits = {"train": split(0, order[held:]), "val": split(0, order[:held]), "test": split(1)}
    apart = [
        Environment(name, {"test": split(place)}, apart="ood_test")
        for place, name in enumerate(others, start=2)
    ]
    return Dataset(
        NAME,
        (Environment(ID, splits), *apart),
        len(CLASSES),
        content=content_of([f"{asked.size}".encode(), *(part.content.encode() for part in parts)]),
        augment=recipe_of(asked.augment),
        source=NAME,
        mean_of_targets=tuple(others) == CORRUPTED,
    )


def shown(target: str, n: int, asked: Settings, data_seed: int) -> NDArray[np.int64]:
    """Which of a target's n images are scored: the same ones under every corruption."""
    if target not in CORRUPTED or asked.per_corruption >= n:
        return np.arange(n)
    order = stream(data_seed, NAME, "corrupted").permutation(n)
    return np.sort(order[: asked.per_corruption])


def numbered(
    own: Mapping[str, Labelled], others: Mapping[str, Labelled]
) -> list[NDArray[np.int64]]:
    """The number of each image: of ``train``, ``test`` and each target.

    A corrupted image has its original's, if the labels say that the files have one order; else
    one that it has under every corruption. (A folder has another order than the batches.)
    """
    start = len(own["train"]) + len(own["test"])
    tests = np.arange(len(own["train"]), start)
    result = [np.arange(len(own["train"])), tests]
    apart: NDArray[np.int64] | None = None
    for name, part in others.items():
        if name not in CORRUPTED:
            result.append(np.arange(start, start + len(part)))
            start += len(part)
        elif np.array_equal(part.labels, own["test"].labels):
            result.append(tests)
        else:
            if apart is None or len(apart) != len(part):
                apart = np.arange(start, start + len(part))
                start += len(part)
            result.append(apart)
    return result


SPEC = DatasetSpec(
    NAME,
    (ID, *TARGETS),
    len(CLASSES),
    build,
    options=OPTIONS,
    summary="Ten classes of 32 x 32 photographs; targets: CIFAR-10.1, CIFAR-10.2, and the 15 "
    "corruptions of CIFAR-10-C at 5 severities.",
    layout="cifar-10-batches-py/{data_batch_1..5,test_batch} or FOLDER/{train,test}/CLASS/IMAGE, "
    "and CIFAR-10.1/, cifar-10.2/, CIFAR-10-C/ as published, under a data folder.",
    licence="CIFAR-10 has none of its own; CIFAR-10.1: MIT; CIFAR-10-C: CC BY 4.0.",
    citation="Krizhevsky 2009 (CIFAR-10); Recht et al. 2018 (CIFAR-10.1); Lu et al. 2020 "
    "(CIFAR-10.2); Hendrycks & Dietterich 2019 (CIFAR-10-C).",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    examples=60_000,
    decodes=True,
    apart=tuple(range(1, len(TARGETS) + 1)),
    targets=tuple(range(1, len(TARGETS) + 1)),
)
REGISTER = [SPEC]
