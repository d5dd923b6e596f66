"""Datasets that are folders of images, split as DomainBed splits them or as our own are."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.domainbed import Seeds, in_out
from domainbed_adapters.duplicates import (
    check_duplicates,
    repeats_of_own_splits,
    report,
    same_files,
)
from domainbed_adapters.image_cache import digests_of, kept_images
from domainbed_adapters.image_tree import ImageTree
from oodbench.data import Dataset, Environment, Rows, Split
from oodbench.errors import RequestError
from oodbench.seeds import stream

AUGMENT = ("domainbed", "none", "randaugment", "augmix", "crop_flip")
"""How training images may be augmented: see ``oodbench.training.inputs.augmentation``."""


@dataclass(frozen=True)
class Options:
    """What sweep files may ask for of these datasets.

    Attributes:
        size: Height and width of the images.
        interpolation: How they are resized: ``bilinear`` or ``bicubic``.
        holdout: Share of an environment's examples that is its validation part, and of as many its
            test part.
        corrupt: ``fail`` or ``skip`` where a file is no image.
        domainbed: ``{seed, trial_seed}`` of DomainBed, for its own splits.
        max_pixels: Pixels of the largest image that is read; None: as many as Pillow reads by
            itself.
        duplicates: ``refuse`` or ``keep`` where an image is trained and tested on.
        augment: Training images as DomainBed augments them, ``domainbed``; or one of ``AUGMENT``.
        augment_id_val: Validation images of training environments too, as there.
    """

    size: Any = 224
    interpolation: Any = "bilinear"
    holdout: Any = 0.2
    corrupt: Any = "fail"
    domainbed: Any = None
    augment: Any = "domainbed"
    augment_id_val: Any = False
    max_pixels: Any = None
    duplicates: Any = "keep"

    def check(self, name: str) -> None:
        """Raise RequestError unless they are what they must be for the dataset ``name``."""
        check_image_options(name, self.size, self.corrupt, self.max_pixels)
        check_duplicates(name, self.duplicates)
        if self.interpolation not in ("bilinear", "bicubic"):
            raise RequestError(
                f"{name}: interpolation must be bilinear or bicubic, not {self.interpolation!r}."
            )
        check_holdout(name, self.holdout)
        augment, augment_id_val = self.augment, self.augment_id_val
        if augment not in AUGMENT:
            raise RequestError(
                f"{name}: augment must be one of {', '.join(AUGMENT)}, not {augment!r}."
            )
        if type(augment_id_val) is not bool:
            raise RequestError(
                f"{name}: augment_id_val must be true or false, not {augment_id_val!r}."
            )
        if augment_id_val and augment != "domainbed":
            raise RequestError(
                f"{name}: augment_id_val: true is DomainBed's way and needs augment: domainbed, "
                f"not {augment}; leave one out."
            )
        if self.domainbed is not None:
            Seeds.from_option(name, self.domainbed)


OPTIONS: dict[str, Any] = asdict(Options())
"""Each with its default."""


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise RequestError unless those of ``OPTIONS`` are what they must be for the dataset."""
    Options(**{key: options[key] for key in OPTIONS}).check(name)


def build_images(
    name: str,
    tree: ImageTree,
    names: tuple[str, ...],
    data_seed: int,
    options: Options,
    cropped: bool = True,
) -> Dataset:
    """The images of a tree as a dataset.

    Args:
        name: Name of the dataset; also names its random streams.
        tree: Files of the dataset.
        names: What the environments are called, in the order of their folders.
        data_seed: Seed of the splits, unless they are DomainBed's.
        options: What was asked for.
        cropped: Whether augmentation crops images.

    Raises:
        RequestError: If an option is not what it must be, a file is no image, or the decoded images
            do not fit on the disk.
    """
    options.check(name)
    asked = options.domainbed
    seeds = None if asked is None else Seeds.from_option(name, asked)
    pixels, there, content = kept_images(
        name,
        tree,
        options.size,
        options.corrupt,
        interpolation=options.interpolation,
        max_pixels=options.max_pixels,
    )
    split = {}
    for i, environment in enumerate(names):
        rows = np.intersect1d(tree.rows_of(i), there)
        if seeds is None:
            split[environment] = split_parts(rows, options.holdout, name, data_seed, environment)
        else:
            in_, out = in_out(len(rows), seeds.trial_seed, i)
            split[environment] = {"train": rows[in_], "val": rows[out]}
    same = same_files(digests_of(name, tree, options.corrupt, options.max_pixels))
    found = repeats_of_own_splits(same, tree.labels, split)
    report(name, "image", found, tree.files.__getitem__, options.duplicates)
    return Dataset(
        name,
        tuple(
            Environment(
                environment,
                {p: Split(Rows(pixels, mine), tree.labels[mine]) for p, mine in parts.items()},
            )
            for environment, parts in split.items()
        ),
        len(tree.classes),
        content=content,
        augment=recipe_of(options.augment, cropped),
        augment_id_val=options.augment_id_val,
        source=name,
        classes=tree.classes,
    )


def recipe_of(augment: str, cropped: bool = True) -> str:
    """What ``Dataset.augment`` is where an option says so."""
    if augment == "none":
        return ""
    return augment if cropped or augment == "crop_flip" else f"{augment}_uncropped"


def split_parts(
    rows: NDArray[np.int64], holdout: float, name: str, data_seed: int, environment: str
) -> dict[str, NDArray[np.int64]]:
    """Train, validation and test examples of one environment."""
    check_holdout(name, holdout)
    order = stream(data_seed, name, "split", environment).permutation(rows)
    held = round(holdout * len(rows))
    if held < 1 or 2 * held >= len(rows):
        raise RequestError(
            f"{name}: a holdout of {holdout} of the {len(rows)} examples of {environment} is none, "
            "or leaves none to train on. Use another one, or more examples."
        )
    return {"train": order[2 * held :], "val": order[:held], "test": order[held : 2 * held]}


def check_holdout(name: str, holdout: Any) -> None:
    """Raise RequestError unless it is a share that leaves examples to train on."""
    if type(holdout) is not float or not 0 < holdout < 0.5:
        raise RequestError(f"{name}: holdout must be between 0 and 0.5, not {holdout!r}.")


def check_image_options(name: str, size: Any, corrupt: Any, max_pixels: Any = None) -> None:
    """Raise RequestError unless these options are what they must be."""
    if max_pixels is not None and (type(max_pixels) is not int or max_pixels < 1):
        raise RequestError(
            f"{name}: max_pixels must be a whole number such as 200000000, not {max_pixels!r}."
        )
    if type(size) is not int or not 8 <= size <= 1024:
        raise RequestError(f"{name}: size must be a whole number from 8 to 1024, not {size!r}.")
    if corrupt not in ("fail", "skip"):
        raise RequestError(f"{name}: corrupt must be fail or skip, not {corrupt!r}.")
