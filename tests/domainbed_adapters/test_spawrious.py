"""Spawrious: which folders each environment is made of, against DomainBed's own code."""

from pathlib import Path

import numpy as np
import pytest
from image_helpers import image

from domainbed_adapters import spawrious
from domainbed_adapters.spawrious import BREEDS, VARIANTS
from oodbench.data import DATASETS
from oodbench.errors import RequestError

BACKGROUNDS = ("beach", "desert", "dirt", "jungle", "mountain", "snow")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images of each breed before each background, in both parts."""
    monkeypatch.setattr(spawrious, "TOTAL", 10)
    seed = 0
    for part in "01":
        for background in BACKGROUNDS:
            for breed in BREEDS:
                folder = tmp_path / "data" / part / background / breed
                folder.mkdir(parents=True)
                for number in range(10):
                    image(seed).save(folder / f"{number}.png")
                    seed += 1
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def folders(root: Path, name: str, environment: int) -> dict[str, int]:
    tree = VARIANTS[name].read(root)
    found: dict[str, int] = {}
    for row in tree.rows_of(environment):
        folder = tree.files[row].rsplit("/", 1)[0]
        assert tree.classes[tree.labels[row]] == folder.rsplit("/", 1)[1]
        found[folder] = found.get(folder, 0) + 1
    return found


def test_one_to_one(root: Path) -> None:
    """By hand from ``build_type1_combination``: int(.97 x 10) = 9 and int(.87 x 10) = 8 images."""
    for environment, (part, held) in {1: ("0", 9), 2: ("1", 8)}.items():
        assert folders(root, "SpawriousO2O_easy", environment) == {
            f"{part}/desert/bulldog": held,
            f"{part}/jungle/dachshund": held,
            f"{part}/dirt/labrador": held,
            f"{part}/snow/corgi": held,
            **{f"{part}/beach/{breed}": 10 - held for breed in BREEDS},
        }
    assert folders(root, "SpawriousO2O_easy", 0) == {
        f"{part}/{background}": 10
        for part in "01"
        for background in ("dirt/bulldog", "snow/dachshund", "desert/labrador", "jungle/corgi")
    }


def test_many_to_many(root: Path) -> None:
    """By hand from ``build_type2_combination``: all in part 0, breeds of a pair swap."""
    first = ["dirt/bulldog", "jungle/dachshund", "snow/labrador", "beach/corgi"]
    second = ["jungle/bulldog", "dirt/dachshund", "beach/labrador", "snow/corgi"]
    assert folders(root, "SpawriousM2M_hard", 1) == {f"0/{f}": 10 for f in first}
    assert folders(root, "SpawriousM2M_hard", 2) == {f"0/{f}": 10 for f in second}
    tested = ["snow/bulldog", "beach/dachshund", "dirt/labrador", "jungle/corgi"]
    swapped = ["beach/bulldog", "snow/dachshund", "jungle/labrador", "dirt/corgi"]
    assert folders(root, "SpawriousM2M_hard", 0) == {f"0/{f}": 10 for f in tested + swapped}


def test_it_is_built_and_what_is_missing_is_named(root: Path) -> None:
    data = DATASETS.get("SpawriousO2O_hard").load({"size": 8}, 0)
    sizes = [sum(map(len, environment.splits.values())) for environment in data.environments]
    assert sizes == [80, 40, 40]
    assert data.augment == "domainbed_uncropped"
    recipes = {"augmix": "augmix_uncropped", "crop_flip": "crop_flip", "none": ""}
    for augment, recipe in recipes.items():
        other = DATASETS.get("SpawriousO2O_hard").load({"size": 8, "augment": augment}, 0)
        assert other.augment == recipe
    assert set(np.unique(data.environments[0].splits["train"].labels)) == {0, 1, 2, 3}
    (root / "0" / "jungle" / "bulldog" / "3.png").unlink()
    VARIANTS["SpawriousO2O_hard"].read(root)  # needs nine there
    with pytest.raises(RequestError, match=r"jungle/bulldog has 9 images, but 10 are needed"):
        VARIANTS["SpawriousM2M_hard"].read(root)
