"""ImageFolders: any folder laid out ``environment/class/image``, of one's own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainbed_adapters.image_folders import OPTIONS, Options, build_images
from domainbed_adapters.image_tree import ImageTree, read_tree
from domainbed_adapters.own_files import sought
from domainbed_adapters.summaries import told_classes, told_environments
from domainbed_adapters.wilds_checks import check_ends
from oodbench.data import Dataset, DatasetSpec

NAME = "ImageFolders"


def find(folder: Any) -> Path:
    """The folder of that name under a data folder of this machine, or at that path.

    Raises:
        RequestError: If there is none.
    """
    what = (
        "the name of a folder under a data folder (--root), which has a folder for each "
        "environment with one for each class"
    )
    return sought(NAME, "folder", folder, what)


def read(folder: Any) -> ImageTree:
    """List its images; every environment must have the same classes."""
    return read_tree(find(folder))


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the folder has."""
    tree = read(options.get("folder"))
    return replace(SPEC, environments=tree.environments, num_classes=len(tree.classes))


def verify(options: Mapping[str, Any]) -> Path:
    """The folder, if every environment has the same classes and every image its end."""
    tree = read(options.get("folder"))
    check_ends(tree.root, tree.files, NAME)
    return tree.root


def summarize(options: Mapping[str, Any]) -> list[str]:
    """Its classes, and the images of each environment by its index."""
    tree = read(options.get("folder"))
    counts = {e: len(tree.rows_of(i)) for i, e in enumerate(tree.environments)}
    return [told_classes(tree.classes), *told_environments(counts)]


def build(data_seed: int, folder: Any, **options: Any) -> Dataset:
    """The images under that folder."""
    tree = read(folder)
    return build_images(NAME, tree, tree.environments, data_seed, Options(**options))


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={"folder": "", **OPTIONS},
    summary="A folder of your own images; its sub-folders, in order of name, are the environments.",
    layout="FOLDER/ENVIRONMENT/CLASS/IMAGE under a data folder; the same classes everywhere.",
    licence="Yours.",
    decodes=True,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    own=True,
)
REGISTER = [SPEC]
