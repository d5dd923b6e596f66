"""The Backgrounds Challenge (ImageNet-9): does a classifier look at the object or behind it?

Its test images come in eight variants of the same foregrounds, each an environment of its own that
nothing is trained on. ID accuracy is that on ``original``; OOD accuracy that on the variants which
a trial names as its test environments, as a rule ``mixed_rand``; all others are measured beside.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from domainbed_adapters.backgrounds_files import (
    FOLDER,
    NAME,
    SOURCE,
    Part,
    as_tree,
    read_release,
    read_training,
)
from domainbed_adapters.backgrounds_scores import measure
from domainbed_adapters.duplicates import TWICE, Ints, repeats, report, same_files
from domainbed_adapters.image_cache import digests_of, kept_images
from domainbed_adapters.image_folders import Options, recipe_of
from domainbed_adapters.image_tree import ImageTree
from domainbed_adapters.in9 import CLASSES, MEAN, STD, VARIANTS, of_imagenet
from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Scores, Split
from oodbench.errors import RequestError
from oodbench.records import MEASURED
from oodbench.seeds import stream

ORIGINAL = "original"
"""The variant with the images as they were, for ID accuracy; all others are targets."""

OPTIONS: dict[str, Any] = {
    "training": "in9l",
    "size": 224,
    "holdout": 0.1,
    "corrupt": "fail",
    "max_pixels": None,
    "augment": "none",
}
"""``training``: a folder to train on, or a list of several, each then an environment. ``size``:
height and width of the images. ``holdout``: share of the foregrounds that is the validation part
where a folder has no ``val``. ``corrupt``: ``fail`` or ``skip`` where a file is no image.
``max_pixels``: of the largest image that is read; None: as many as Pillow reads by itself.
``augment``: how training images are augmented: ``none``, or as in folders of images."""


def training_folders(option: Any) -> tuple[str, ...]:
    """The folders that ``training`` names.

    Raises:
        RequestError: If it names none, or two that are called the same.
    """
    folders = [option] if isinstance(option, str) else option
    if (
        not isinstance(folders, list)
        or not folders
        or not all(isinstance(folder, str) and folder for folder in folders)
    ):
        raise RequestError(
            f"{NAME}: training needs the name of a folder under a data folder, such as in9l, or a "
            f"list of names such as [original, mixed_rand]; got {option!r}."
        )
    names = [environment_of(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise RequestError(f"{NAME}: training names {', '.join(folders)}, two of them alike.")
    return tuple(folders)


def environment_of(folder: str) -> str:
    """What the environment with a folder's training images is called."""
    return f"train:{Path(folder).name}"


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments that it has with these options."""
    folders = training_folders(options.get("training", OPTIONS["training"]))
    return replace(SPEC, environments=(*VARIANTS, *map(environment_of, folders)))


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    given = dict(options)
    training_folders(given.pop("training"))
    Options(**given).check(NAME)


def build(
    data_seed: int,
    training: Any,
    size: int,
    holdout: float,
    corrupt: Any,
    max_pixels: Any,
    augment: Any,
) -> Dataset:
    """The variants of the release, and the training folders, from this machine's data folders.

    Raises:
        RequestError: If an option is not what it must be, a folder is missing or incomplete, a file
            is no image, or the decoded images do not fit on the disk.
    """
    folders, root = training_folders(training), SOURCE.find()
    parts = {(name, "test"): part for name, part in read_release(root).items()}
    tested = parts[ORIGINAL, "test"].foregrounds
    found = {folder: read_training(folder) for folder in folders}
    for folder, mine in with_validation(found, holdout, data_seed).items():
        for name, part in mine.items():
            parts[environment_of(folder), name] = without(part, tested, f"{folder}, {name}")
    tree = as_tree(root, list(parts.values()))
    pixels, there, content = kept_images(
        NAME, tree, size, corrupt, fit="crop", max_pixels=max_pixels
    )
    report_parts(tree, list(parts), same_files(digests_of(NAME, tree, corrupt, max_pixels)))
    environments: dict[str, dict[str, Split]] = {}
    for i, ((name, part_name), part) in enumerate(parts.items()):
        rows = np.intersect1d(tree.rows_of(i), there)
        numbers = part.numbers[rows - tree.starts[i]]
        split = Split(Rows(pixels, rows), tree.labels[rows], examples=numbers)
        environments.setdefault(name, {})[part_name] = split
    apart = {name: "id_test" if name == ORIGINAL else MEASURED for name in VARIANTS}
    return Dataset(
        NAME,
        tuple(Environment(e, splits, apart.get(e, "")) for e, splits in environments.items()),
        len(CLASSES),
        content=content,
        augment=recipe_of(augment),
        source=NAME,
    )


def report_parts(tree: ImageTree, names: Sequence[tuple[str, str]], same: Ints) -> None:
    """Report which images are trained or validated on, and tested on."""
    parts: dict[str, list[Ints]] = {}
    for i, (_, part) in enumerate(names):
        parts.setdefault(part, []).append(tree.rows_of(i))
    whole = {part: np.concatenate(rows) for part, rows in parts.items()}
    found = [one for one in repeats(same, tree.labels, whole) if one.kind != TWICE]
    report(NAME, "image", found, tree.files.__getitem__, "keep")


def with_validation(
    found: Mapping[str, Mapping[str, Part]], holdout: float, data_seed: int
) -> dict[str, dict[str, Part]]:
    """The training folders, each with a part ``val``: its own, or some of its foregrounds.

    Those are the same foregrounds in every folder, so that none is trained on in one variant and
    validated on in another.
    """
    lacking = [mine["train"].foregrounds for mine in found.values() if "val" not in mine]
    held: Any = []
    if lacking:
        everything = np.unique(np.concatenate(lacking))
        order = stream(data_seed, NAME, "split").permutation(everything)
        held = order[: round(holdout * len(order))]
    result: dict[str, dict[str, Part]] = {}
    for folder, mine in found.items():
        result[folder] = dict(mine)
        if "val" not in mine:
            validating = np.isin(mine["train"].foregrounds, held)
            if not validating.any():
                raise RequestError(
                    f"{NAME}: {folder} has no val folder, and a holdout of {holdout} of its "
                    f"{len(mine['train'])} images is none. Use a larger one."
                )
            train = mine["train"]
            result[folder] = {"train": train.only(~validating), "val": train.only(validating)}
    return result


def without(part: Part, tested: Sequence[str] | np.ndarray, what: str) -> Part:
    """The images whose foreground is not one of those ``tested``."""
    clash = np.isin(part.foregrounds, tested)
    if not clash.any():
        return part
    print(
        f"{NAME}: {clash.sum():,} of {len(part):,} images of {what} are left out: their "
        "foregrounds are test images.",
        file=sys.stderr,
        flush=True,
    )
    if clash.all():
        raise RequestError(
            f"{NAME}: every image of {what} is one of the test images; train on another folder."
        )
    return part.only(~clash)


SPEC = DatasetSpec(
    NAME,
    (*VARIANTS, environment_of(OPTIONS["training"])),
    len(CLASSES),
    build,
    options=OPTIONS,
    summary="Nine classes of ImageNet before other backgrounds, or without object or background; "
    "original is ID, test environment 2 (mixed_rand) OOD.",
    layout=f"{FOLDER}/VARIANT/val/NN_class/IMAGE under a data folder, as the release has it; to "
    "train on: FOLDER/{train,val}/NN_class/IMAGE or ImageNet-1k's FOLDER/train/WNID/IMAGE.",
    licence="Of ImageNet's images: for non-commercial research and education.",
    citation="Xiao et al. 2020 (Noise or Signal: The Role of Image Backgrounds in Object "
    "Recognition).",
    source=SOURCE,
    check=check,
    resolve=resolve,
    examples=32400,  # the test images; how many there are to train on is not known
    decodes=True,
    apart=tuple(range(len(VARIANTS))),
    targets=tuple(i for i, name in enumerate(VARIANTS) if name != ORIGINAL),
    scores=Scores(measure, of_imagenet, MEAN, STD),
)
REGISTER = [SPEC]
