"""ImageFolders: any folder laid out ``environment/class/image``, your own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from domainbed_adapters.duplicates import (
    Repeat,
    may_be_apart,
    refuse_leaks,
    repeat_lines,
    repeats,
    same_files,
)
from domainbed_adapters.image_cache import digests_of
from domainbed_adapters.image_folders import OPTIONS, Options, build_images, check_options
from domainbed_adapters.image_listing import folders_in
from domainbed_adapters.image_tree import ImageTree, read_tree
from domainbed_adapters.own_files import OWN, check_named, sought
from domainbed_adapters.summaries import told_classes, told_environments, told_skipped
from domainbed_adapters.table_values import Mending, too_alike
from oodbench.data import Dataset, DatasetSpec
from oodbench.errors import RequestError, UnknownNameError

NAME = "ImageFolders"
FOLDER = (
    "the name of a folder under a data folder (--root), which has a folder for each environment "
    "with one for each class"
)
"""What the option ``folder`` is."""


def read(options: Mapping[str, Any]) -> ImageTree:
    """List the images of the folder that an option names; each environment has the same classes.

    Raises:
        RequestError: If it is not laid out so, or two names are one but for their spelling.
        UnknownNameError: If the option ``labels`` names a class folder that is not there.
    """
    labels = Mending.of(NAME, {"labels": options.get("labels")}).of_column("label")
    root = sought(NAME, "folder", options.get("folder"), FOLDER)
    tree = read_tree(root, labels=labels)
    there = {kind for name in tree.environments for kind in folders_in(root / name)}
    for label in labels:
        if label not in there:
            raise UnknownNameError("class folder", label, there, where=f"{NAME}: {root}, labels")
    if alike := too_alike([kind for kind in tree.classes if labels.get(kind) != kind]):
        one, other, how = alike
        raise RequestError(
            f"{NAME}: {root} has the classes {one!r} and {other!r}, which differ {how}. If they "
            f'are one, set labels: {{"{one}": "{other}"}}; if they are two, '
            f'labels: {{"{one}": "{one}"}}.'
        )
    if alike := too_alike(list(tree.environments)):
        one, other, how = alike
        raise RequestError(
            f"{NAME}: {root} has the environments {one!r} and {other!r}, which differ {how}; "
            "rename a folder, or move the images of one into the other."
        )
    return tree


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the folder has."""
    tree = read(options)
    return replace(SPEC, environments=tree.environments, num_classes=len(tree.classes))


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    check_named(NAME, "folder", options["folder"], FOLDER)
    Mending.of(NAME, {"labels": options["labels"]})
    check_options(NAME, options)


def verify(options: Mapping[str, Any]) -> Path:
    """The folder, if every environment has the same classes and every file is an image.

    Raises:
        RequestError: If not, or if an image may be trained and tested on.
    """
    tree, chosen = read(options), options_of(options)
    refuse_leaks(NAME, "image", repeats_in(tree, chosen), tree.files.__getitem__, chosen.duplicates)
    return tree.root


def options_of(options: Mapping[str, Any]) -> Options:
    """The options but for the folder, checked."""
    given = {**SPEC.options, **options}
    chosen = Options(**{name: given[name] for name in OPTIONS})
    chosen.check(NAME)
    return chosen


def repeats_in(tree: ImageTree, options: Options) -> list[Repeat]:
    """Which images are there more than once; each is decoded, unless that was done before."""
    same = same_files(digests_of(NAME, tree, options.corrupt, options.max_pixels))
    whole = {name: tree.rows_of(i) for i, name in enumerate(tree.environments)}
    return repeats(same, tree.labels, whole, may_be_apart)


def summarize(options: Mapping[str, Any]) -> list[str]:
    """The folder's classes, the images of each environment by its index, and what is odd."""
    tree, chosen = read(options), options_of(options)
    digests = digests_of(NAME, tree, chosen.corrupt, chosen.max_pixels)
    sound = np.array(digests.any(axis=1))
    counts = {e: int(sound[tree.rows_of(i)].sum()) for i, e in enumerate(tree.environments)}
    lines = [told_classes(tree.classes), *told_environments(counts), *tree.left_out]
    absent = told_skipped(tree.files, digests)
    found = repeats_in(tree, chosen)
    return [*lines, *absent, *repeat_lines("image", found, tree.files.__getitem__)]


def build(data_seed: int, folder: Any, labels: Any, **options: Any) -> Dataset:
    """The images under that folder."""
    tree = read({"folder": folder, "labels": labels})
    data = build_images(NAME, tree, tree.environments, data_seed, Options(**options))
    return replace(data, source="")  # other folders go by the same name


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={"folder": "", "labels": None, **OPTIONS, "duplicates": "refuse"},
    summary="A folder of your own images; its sub-folders, in order of name, are the environments.",
    layout="FOLDER/ENVIRONMENT/CLASS/IMAGE under a data folder; the same classes everywhere.",
    decodes=True,
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
