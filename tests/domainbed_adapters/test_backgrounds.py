"""The Backgrounds Challenge: what is trained on, what each variant is to a trial, loud errors."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from backgrounds_helpers import CLASSES, SIZE, VARIANTS, foreground, write_release, write_training
from PIL import Image

from domainbed_adapters.in9 import of_imagenet
from oodbench import api
from oodbench.data import DATASETS, Dataset
from oodbench.errors import OodbenchError, QueryError, RequestError, SweepError
from oodbench.sweep import parse_sweep
from oodbench.training import load
from oodbench.verbs.load_model import load_model

NAME = "BackgroundsChallenge"
SWEEP = {
    "name": "bg",
    "algorithms": ["erm", "irm"],
    "optimizers": ["adam"],
    "model": {"name": "mlp", "width": 16, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 20, "batch": {"per_environment": 8}},
    "keep_weights": "last",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small release, and three folders to train on."""
    data = write_release(tmp_path / "data")
    write_training(data, "in9l", "original")
    write_training(data, "in9/original", "original", val=False)
    write_training(data, "in9/mixed_rand", "mixed_rand", val=False)
    monkeypatch.setenv("OODBENCH_DATA", str(data))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return data


def build(**options: object) -> Dataset:
    return DATASETS.get(NAME).load({"size": SIZE, **options}, 0)


def everything_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_the_map_from_imagenet_has_the_releases_counts_and_classes() -> None:
    from torchvision.models import ResNet50_Weights

    found = of_imagenet()
    assert np.bincount(found + 1).tolist() == [630, 116, 52, 42, 36, 35, 27, 26, 20, 16]
    names = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    by_hand = {
        "golden retriever": 0,
        "goldfinch": 1,
        "fire engine": 2,
        "common iguana": 3,
        "giant panda": 4,
        "bee": 5,
        "violin": 6,
        "gorilla": 7,
        "tench": 8,
        "tabby": -1,  # a carnivore, but left out by the release
        "whippet": -1,  # a dog, likewise
        "bucket": -1,
    }
    assert {name: int(found[names.index(name)]) for name in by_hand} == by_hand


def test_images_are_those_of_torchvisions_image_folder_to_the_pixel(root: Path) -> None:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import PILToTensor

    data = build()
    assert [e.name for e in data.environments] == [*VARIANTS, "train:in9l"]
    for environment in data.environments[:8]:
        where = root / "bg_challenge" / environment.name / "val"
        theirs = ImageFolder(str(where), transform=PILToTensor())
        assert theirs.classes == list(CLASSES)
        ours = environment.splits["test"]
        assert ours.labels.tolist() == theirs.targets
        expected = np.stack([image.numpy() for image, _ in theirs])
        np.testing.assert_array_equal(ours.inputs[:], expected)
    assert data.input_shape == (3, SIZE, SIZE)


def test_roles_of_a_trial(root: Path) -> None:
    tensors = load(build(), (2,), torch.device("cpu"), torch.float32)
    roles = {(s.environment, s.split): s.role for s in tensors.evaluation}
    measured = {(name, "test"): "measured" for name in VARIANTS[3:]}
    assert roles == {
        ("original", "test"): "id_test",
        ("mixed_same", "test"): "measured",
        ("mixed_rand", "test"): "ood_test",
        **measured,
        ("train:in9l", "val"): "id_val",
    }
    assert tensors.sizes == (72,)
    of_all = load(build(), (), torch.device("cpu"), torch.float32)
    assert of_all.targets == VARIANTS[1:]
    assert {s.environment: s.role for s in of_all.evaluation} == {
        "original": "id_test",
        **dict.fromkeys(VARIANTS[1:], "ood_test"),
        "train:in9l": "id_val",
    }
    for augment in ("domainbed", "randaugment", "augmix"):
        assert (build().augment, build(augment=augment).augment) == ("", augment)


def test_validation_is_the_folders_own_or_some_foregrounds_of_all_folders(root: Path) -> None:
    own = build().environments[8].splits
    assert (len(own["train"]), len(own["val"])) == (72, 18)
    data = build(training=["in9/original", "in9/mixed_rand"], holdout=0.25)
    first, second = (environment.splits for environment in data.environments[8:])
    assert [e.name for e in data.environments[8:]] == ["train:original", "train:mixed_rand"]
    assert [len(first["train"]), len(first["val"])] == [54, 18]
    # The n-th image of either folder has the n-th foreground: their files are in one order.
    at = [part["val"].inputs.rows - part["train"].inputs.rows.min() for part in (first, second)]
    lowest = min(first["train"].inputs.rows.min(), first["val"].inputs.rows.min())
    assert lowest == 8 * 27
    assert {len(rows) for rows in at} == {18}
    np.testing.assert_array_equal(first["val"].labels, second["val"].labels)
    assert set(first["val"].examples) == set(second["val"].examples)


def test_an_example_is_a_foreground_before_whatever_background(root: Path) -> None:
    variants = [environment.splits["test"].examples for environment in build().environments[:8]]
    assert len(np.unique(variants[0])) == 27
    for others in variants[1:]:
        assert set(others) == set(variants[0])


def test_what_is_tested_on_is_not_trained_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(
        root / "bg_challenge" / "original" / "val" / "00_dog" / f"{foreground(0, 1)}.JPEG",
        root / "in9l" / "train" / "00_dog",
    )
    assert len(build().environments[8].splits["train"]) == 72
    assert "1 of 73 images of in9l, train are left out" in capsys.readouterr().err


def test_training_images_from_imagenet(root: Path) -> None:
    wnids = [f"n{i + 1:08}" for i in range(1000)]
    for i, wnid in enumerate(wnids):
        folder = root / "imagenet" / "train" / wnid
        folder.mkdir(parents=True)
        image = np.zeros((8, 24, 3), np.uint8)  # black on both sides of the middle
        image[:, 8:16] = [i % 256, i // 256, 200]
        for number in (900, 901):
            Image.fromarray(image).save(folder / f"{wnid}_{number}.png")
    (root / "imagenet" / "val").mkdir()  # ImageNet's own, which has no folders, is not read
    data = build(training="imagenet", size=8, holdout=0.25)
    parts = data.environments[8].splits
    assert sum(map(len, parts.values())) == 2 * 370
    assert len(parts["val"]) == 185
    expected = of_imagenet()
    for split in parts.values():
        pixels = split.inputs[:]
        red, green = pixels[:, :2, 4, 4].astype(int).T
        np.testing.assert_array_equal(expected[red + 256 * green], split.labels)
        assert (pixels[:, 2] == 200).all()  # the square in the middle, not distorted
    shutil.rmtree(root / "imagenet" / "train" / wnids[-1])
    with pytest.raises(RequestError, match=r"has 999 folders of ImageNet classes .* all 1000 are"):
        build(training="imagenet", size=8)


def test_what_is_missing_is_named_and_nothing_is_created(root: Path) -> None:
    before = everything_in(root)
    with pytest.raises(RequestError, match=r"there is no .*in9_gone/train.* links .* are dead"):
        build(training="in9_gone")
    assert everything_in(root) == before
    spec = DATASETS.get(NAME)
    check = spec.source.check
    check(root)
    challenge = root / "bg_challenge"
    (challenge / "no_fg" / "val" / "08_fish" / f"{foreground(8, 2)}.JPEG").unlink()
    with pytest.raises(RequestError, match=r"no_fg/val/08_fish has 2 images, .* original has 3"):
        check(root)
    (challenge / "mixed_next" / "val" / "02_wheeled vehicle").rename(challenge / "x")
    with pytest.raises(RequestError, match="missing: 02_wheeled vehicle; not expected there: none"):
        check(root)
    shutil.rmtree(challenge / "only_bg_b")
    with pytest.raises(
        RequestError, match=r"there is no .*only_bg_b/val, only fg_mask, mixed_next"
    ):
        check(root)
    shutil.rmtree(challenge)
    with pytest.raises(RequestError, match=r"no bg_challenge in .*backgrounds_challenge_data"):
        build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training": []}, "training needs the name of a folder"),
        ({"training": 3}, "training needs the name of a folder"),
        ({"training": ["in9/original", "in9l/../original"]}, "two of them alike"),
        ({"holdout": 0.001, "training": "in9/original"}, r"a holdout of 0\.001 of its 72 images"),
        (
            {"augment": "autoaugment"},
            "augment must be one of domainbed, none, .+, crop_flip, not 'autoaugment'",
        ),
        ({"size": 2}, "size must be a whole number from 8 to 1024"),
    ],
)
def test_options_that_cannot_be(root: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(OodbenchError, match=message):
        build(**options)


@pytest.mark.slow
def test_a_sweep_stores_every_variant(root: Path, tmp_path: Path) -> None:
    """ID is the original's accuracy and OOD mixed_rand's, as ten independent lines measure them."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import ToTensor

    db = tmp_path / "bg.db"
    training = ["in9/original", "in9/mixed_rand"]
    dataset = {"name": NAME, "test_environments": [2], "size": SIZE, "training": training}
    api.run_sweep({**SWEEP, "datasets": [dataset]}, db, workers=1)
    runs = api.query(db)
    assert runs["status"].tolist() == ["completed"] * 4
    run = runs.iloc[0]
    model = load_model(db, run["run"])
    theirs = {}
    for variant in VARIANTS:
        folder = ImageFolder(str(root / "bg_challenge" / variant / "val"), transform=ToTensor())
        images = torch.stack([image for image, _ in folder])
        right = model(images).argmax(1) == torch.tensor(folder.targets)
        theirs[variant] = right.double().mean().item()
    assert (run["id"], run["ood"]) == (theirs["original"], theirs["mixed_rand"])
    assert (run["n_id"], run["n_ood"]) == (27, 27)
    sql = f"""SELECT environment, value FROM curves WHERE run_id = '{run["run"]}'
        AND split = 'test' AND step = 20"""
    stored = api.query(db, sql=sql)
    assert dict(stored.itertuples(index=False)) == theirs
    scored = api.score(NAME, run=run["run"], db=db).set_index("score")["value"]
    assert scored[list(VARIANTS)].to_dict() == theirs
    assert scored["bg_gap"] == theirs["mixed_same"] - theirs["mixed_rand"]
    assert set(api.query(db, select="id_val")["n_candidates"]) == {2}
    with pytest.raises(QueryError, match="The rule oracle cannot choose"):
        api.query(db, select="oracle")


def test_each_means_the_variants_and_something_must_be_left_to_train_on() -> None:
    def sweep(test_environments: object) -> object:
        dataset = {"name": NAME, "test_environments": test_environments}
        return parse_sweep({**SWEEP, "datasets": [dataset]}).datasets[0].turns()

    assert sweep("each") == [(i,) for i in range(1, 8)]
    assert sweep([1, 2]) == [(1, 2)]
    with pytest.raises(SweepError, match=r"\[8\] leaves none to train on"):
        sweep([8])
