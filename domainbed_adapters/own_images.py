"""ImageFolders: any folder laid out ``environment/class/image``, of one's own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainbed_adapters.image_folders import OPTIONS, Options, build_images
from domainbed_adapters.image_tree import ImageTree, read_tree
from domainbed_adapters.own_files import OWN, sought
from domainbed_adapters.summaries import told_classes, told_environments
from domainbed_adapters.wilds_checks import check_ends
from oodbench.data import Dataset, DatasetSpec

NAME = "ImageFolders"


def read(options: Mapping[str, Any]) -> ImageTree:
    """List the images of the folder that an option names; each environment has the same classes."""
    what = (
        "the name of a folder under a data folder (--root), which has a folder for each "
        "environment with one for each class"
    )
    return read_tree(sought(NAME, "folder", options.get("folder"), what))


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the folder has."""
    tree = read(options)
    return replace(SPEC, environments=tree.environments, num_classes=len(tree.classes))


def verify(options: Mapping[str, Any]) -> Path:
    """The folder, if every environment has the same classes and every image its end."""
    tree = read(options)
    check_ends(tree.root, tree.files, NAME)
    return tree.root


def summarize(options: Mapping[str, Any]) -> list[str]:
    """Its classes, and the images of each environment by its index."""
    tree = read(options)
    counts = {e: len(tree.rows_of(i)) for i, e in enumerate(tree.environments)}
    return [told_classes(tree.classes), *told_environments(counts)]


def build(data_seed: int, folder: Any, **options: Any) -> Dataset:
    """The images under that folder."""
    tree = read({"folder": folder})
    data = build_images(NAME, tree, tree.environments, data_seed, Options(**options))
    return replace(data, source="")  # other folders go by the same name


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={"folder": "", **OPTIONS},
    summary="A folder of your own images; its sub-folders, in order of name, are the environments.",
    layout="FOLDER/ENVIRONMENT/CLASS/IMAGE under a data folder; the same classes everywhere.",
    decodes=True,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
