"""DomainBed's folders of images: VLCS, PACS, OfficeHome, TerraIncognita, DomainNet and SVIRO.

Names, environment order and folders are those of facebookresearch/DomainBed at b93c22a, so that
``--root`` can be the ``--data_dir`` that one already has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from domainbed_adapters.image_folders import OPTIONS, Options, build_images, check_options
from domainbed_adapters.image_tree import ImageTree, read_tree
from oodbench.data import Dataset, DatasetSpec, Source
from oodbench.errors import RequestError

GET = (
    "get it with DomainBed's download.py (python -m domainbed.scripts.download; the dataset's line "
    "in it has to be made active), or from its authors; see docs/images.md."
)

CARS = ("aclass", "escape", "hilux", "i3", "lexus", "tesla", "tiguan", "tucson", "x5", "zoe")
ANIMALS = "bird bobcat cat coyote dog empty opossum rabbit raccoon squirrel"


@dataclass(frozen=True)
class Folders:
    """One dataset's layout under a data folder.

    Attributes:
        folder: Under the data folder.
        environments: What DomainBed calls each environment -> the name of its folder, in order.
        num_classes: How many class folders each environment has.
        classes: Names of the classes, where they are known.
    """

    folder: str
    environments: Mapping[str, str]
    num_classes: int
    classes: tuple[str, ...] = ()

    def read(self, root: Path) -> ImageTree:
        """List the images under a data folder.

        Raises:
            RequestError: If a folder is missing or there in excess.
        """
        where = root / self.folder
        if not where.is_dir():
            raise RequestError(f"there is no folder {where}.")
        return read_tree(where, tuple(self.environments.values()), self.classes, self.num_classes)


LAYOUTS = {
    "VLCS": Folders(
        "VLCS",
        {"C": "Caltech101", "L": "LabelMe", "S": "SUN09", "V": "VOC2007"},
        5,
        ("bird", "car", "chair", "dog", "person"),
    ),
    "PACS": Folders(
        "PACS",
        {"A": "art_painting", "C": "cartoon", "P": "photo", "S": "sketch"},
        7,
        ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person"),
    ),
    "OfficeHome": Folders(
        "office_home", {"A": "Art", "C": "Clipart", "P": "Product", "R": "Real World"}, 65
    ),
    "TerraIncognita": Folders(
        "terra_incognita",
        {"L100": "location_100", "L38": "location_38", "L43": "location_43", "L46": "location_46"},
        10,
        tuple(ANIMALS.split()),
    ),
    "DomainNet": Folders(
        "domain_net",
        {
            "clip": "clipart",
            "info": "infograph",
            "paint": "painting",
            "quick": "quickdraw",
            "real": "real",
            "sketch": "sketch",
        },
        345,
    ),
    "SVIRO": Folders("sviro", {car: car for car in CARS}, 7),
}


def build(name: str, layout: Folders, source: Source, data_seed: int, **options: Any) -> Dataset:
    """One of these datasets, from the data folder of this machine."""
    tree = layout.read(source.find())
    return build_images(name, tree, tuple(layout.environments), data_seed, Options(**options))


def spec(
    name: str,
    summary: str,
    citation: str,
    licence: str,
    examples: int = 0,
    shift: Literal["correlation", "diversity", ""] = "",
) -> DatasetSpec:
    """The dataset called ``name``, with as many examples as Gulrajani & Lopez-Paz 2021 count."""
    layout = LAYOUTS[name]
    source = Source(name, layout.folder, layout.read, get=GET)
    folders = ",".join(layout.environments.values())
    return DatasetSpec(
        name,
        tuple(layout.environments),
        layout.num_classes,
        partial(build, name, layout, source),
        options=OPTIONS,
        check=partial(check_options, name),
        shift=shift,
        summary=summary,
        layout=f"{layout.folder}/{{{folders}}}/CLASS/IMAGE under a data folder, as DomainBed's "
        "download.py leaves it.",
        licence=licence,
        citation=f"{citation}; Gulrajani & Lopez-Paz 2021 (DomainBed).",
        source=source,
        examples=examples,
        decodes=True,
    )


RESEARCH = "Of the images' owners; used for research."
REGISTER = [
    spec(
        "VLCS",
        "Five classes in photographs of four collections.",
        "Fang et al. 2013 (Unbiased Metric Learning)",
        RESEARCH,
        10729,
    ),
    spec(
        "PACS",
        "Seven classes as art paintings, cartoons, photographs and sketches.",
        "Li et al. 2017 (Deeper, Broader and Artier Domain Generalization)",
        RESEARCH,
        9991,
        "diversity",
    ),
    spec(
        "OfficeHome",
        "65 classes of office and home objects as art, clip art, product pictures and photographs.",
        "Venkateswara et al. 2017 (Deep Hashing Network)",
        "For non-commercial research and education.",
        15588,
    ),
    spec(
        "TerraIncognita",
        "Ten classes of animals before camera traps in four places.",
        "Beery et al. 2018 (Recognition in Terra Incognita)",
        "Community Data License Agreement, permissive variant.",
        24788,
        "diversity",
    ),
    spec(
        "DomainNet",
        "345 classes in six styles; 586,575 images.",
        "Peng et al. 2019 (Moment Matching)",
        "For non-commercial research and education.",
        586575,
        "diversity",
    ),
    spec(
        "SVIRO",
        "Seven ways to occupy the rear seat of ten cars; grey synthetic images.",
        "Dias Da Cruz et al. 2020 (SVIRO)",
        "CC BY-NC-SA 4.0.",
    ),
]
