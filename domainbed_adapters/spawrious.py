"""Spawrious: four breeds of dogs before backgrounds that go with them, until they do not.

The six variants of DomainBed at b93c22a (``SpawriousBenchmark`` in its ``datasets.py``), which are
combinations of the same images, ``{0,1}/BACKGROUND/BREED`` under a data folder.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from domainbed_adapters.image_folders import OPTIONS, Options, build_images, check_options
from domainbed_adapters.image_listing import entries_of, is_image
from domainbed_adapters.image_tree import ImageTree
from oodbench.data import Dataset, DatasetSpec, Source
from oodbench.errors import RequestError

BREEDS = ("bulldog", "corgi", "dachshund", "labrador")
ORDER = ("bulldog", "dachshund", "labrador", "corgi")
"""The order of the breeds in the backgrounds below."""
ENVIRONMENTS = ("Test", "SC_group_1", "SC_group_2")
TOTAL = 3168
"""Images of a breed before a background."""
GET = "get spawrious224.tar.gz from its authors (github.com/aengusl/spawrious) and unpack it there."


@dataclass(frozen=True)
class Variant:
    """Which background goes with each breed, in the order of ``ORDER``.

    Attributes:
        group: Backgrounds in training. One to one: in both environments. Many to many: in the
            first; in the second, the breeds of each pair change backgrounds.
        test: Backgrounds in the test environment, by the same rule.
        filler: One to one: the background of some images of all breeds in training.
    """

    group: tuple[str, ...]
    test: tuple[str, ...]
    filler: str = ""

    def folders(self) -> tuple[list[tuple[str, str, int]], ...]:
        """The folders of each environment, with the breed and how many images are taken."""
        swapped = (1, 0, 3, 2)
        result: list[list[tuple[str, str, int]]] = [[], [], []]
        for turn, share in enumerate((0.97, 0.87)):
            held = int(share * TOTAL) if self.filler else TOTAL
            part = turn if self.filler else 0
            for i, breed in enumerate(ORDER):
                j = i if self.filler or turn == 0 else swapped[i]
                result[0].append((f"{part}/{self.test[j]}/{breed}", breed, -1))
                result[1 + turn].append((f"{part}/{self.group[j]}/{breed}", breed, held))
            if self.filler:
                result[1 + turn] += [
                    (f"{part}/{self.filler}/{breed}", breed, TOTAL - held) for breed in ORDER
                ]
        return tuple(result)

    def read(self, root: Path) -> ImageTree:
        """List this variant's images under a data folder.

        DomainBed takes the first images as the file system happens to list them; here they are
        those that come first by name.

        Raises:
            RequestError: If a folder is missing or has too few images.
        """
        files: list[str] = []
        labels: list[int] = []
        starts = [0]
        for folders in self.folders():
            for folder, breed, count in folders:
                mine = _first(root, folder, count)
                files += mine
                labels += [BREEDS.index(breed)] * len(mine)
            starts.append(len(files))
        return ImageTree(root, ENVIRONMENTS, BREEDS, tuple(files), np.array(labels), tuple(starts))


def _first(root: Path, folder: str, count: int) -> list[str]:
    """The first ``count`` images of a folder by name; -1: all."""
    if not (root / folder).is_dir():
        raise RequestError(f"Spawrious: there is no folder {root / folder}; {GET}")
    names = [entry.name for entry in entries_of(root / folder) if is_image(entry.name)]
    if len(names) < max(count, 1):
        raise RequestError(
            f"Spawrious: {root / folder} has {len(names)} images, but {max(count, 1)} are needed; "
            f"unpack it again, or {GET}"
        )
    return [f"{folder}/{name}" for name in (names if count < 0 else names[:count])]


VARIANTS = {
    "SpawriousO2O_easy": Variant(
        ("desert", "jungle", "dirt", "snow"), ("dirt", "snow", "desert", "jungle"), "beach"
    ),
    "SpawriousO2O_medium": Variant(
        ("mountain", "beach", "dirt", "jungle"), ("jungle", "dirt", "beach", "snow"), "desert"
    ),
    "SpawriousO2O_hard": Variant(
        ("jungle", "mountain", "snow", "desert"), ("mountain", "snow", "desert", "jungle"), "beach"
    ),
    "SpawriousM2M_easy": Variant(
        ("desert", "mountain", "dirt", "jungle"), ("dirt", "jungle", "mountain", "desert")
    ),
    "SpawriousM2M_medium": Variant(
        ("beach", "snow", "mountain", "desert"), ("desert", "mountain", "beach", "snow")
    ),
    "SpawriousM2M_hard": Variant(
        ("dirt", "jungle", "snow", "beach"), ("snow", "beach", "dirt", "jungle")
    ),
}


def build(name: str, source: Source, data_seed: int, **options: Any) -> Dataset:
    """One variant, from the data folder of this machine; DomainBed does not crop its images."""
    tree = VARIANTS[name].read(source.find())
    return build_images(name, tree, ENVIRONMENTS, data_seed, Options(**options), cropped=False)


def spec(name: str) -> DatasetSpec:
    """The specification of the variant called ``name``."""
    source = Source(name, "0", VARIANTS[name].read, get=GET)
    many = "many to many" if "M2M" in name else "one to one"
    return DatasetSpec(
        name,
        ENVIRONMENTS,
        len(BREEDS),
        partial(build, name, source),
        options=OPTIONS,
        check=partial(check_options, name),
        summary=f"Four breeds of dogs, each before backgrounds that change at test time ({many}); "
        "test environment 0.",
        layout="{0,1}/BACKGROUND/BREED/IMAGE under a data folder, as spawrious224.tar.gz has it.",
        licence="That of its authors.",
        citation="Lynch et al. 2023 (Spawrious); Gulrajani & Lopez-Paz 2021 (DomainBed).",
        source=source,
        decodes=True,
    )


REGISTER = [spec(name) for name in VARIANTS]
