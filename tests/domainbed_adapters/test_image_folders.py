"""Folders of images: torchvision's own order and pixels, DomainBed's own splits, loud errors."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_helpers import CLASSES, ENVIRONMENTS, image, write_tree

from domainbed_adapters.domainbed_images import LAYOUTS
from domainbed_adapters.image_reading import read_image
from domainbed_adapters.image_tree import read_tree
from oodbench.data import DATASETS
from oodbench.errors import OodbenchError, RequestError, SweepError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small PACS, and a cache of its own."""
    write_tree(tmp_path / "data" / "PACS")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def pacs(**options: object):
    return DATASETS.get("PACS").load({"size": 16, **options}, 0)


def test_files_and_labels_are_those_of_torchvisions_image_folder(root: Path) -> None:
    from torchvision.datasets import ImageFolder

    (root / "PACS" / "photo" / "dog" / "notes.txt").write_text("no image")
    (root / "PACS" / "photo" / "dog" / "more").mkdir()
    image(99).save(root / "PACS" / "photo" / "dog" / "more" / "Z.PNG")
    (root / "PACS" / ".DS_Store").mkdir()
    tree = LAYOUTS["PACS"].read(root)
    for i, name in enumerate(ENVIRONMENTS):
        theirs = ImageFolder(str(root / "PACS" / name))
        rows = tree.rows_of(i)
        files = [str(root / "PACS" / tree.files[row]) for row in rows]
        assert list(zip(files, tree.labels[rows], strict=True)) == theirs.samples
    assert tree.classes == CLASSES


def test_pixels_are_those_of_torchvisions_resize(root: Path) -> None:
    from PIL import Image
    from torchvision.transforms import Compose, PILToTensor, Resize

    transform = Compose([Resize((16, 16)), PILToTensor()])
    data, tree = pacs(domainbed={"seed": 0, "trial_seed": 0}), LAYOUTS["PACS"].read(root)
    inputs = data.environments[2].splits["train"].inputs
    for position in (0, 5):
        with Image.open(root / "PACS" / tree.files[inputs.rows[position]]) as one:
            expected = transform(one.convert("RGB")).numpy()
        np.testing.assert_array_equal(inputs[position], expected)


def test_bicubic_pixels_are_torchvisions_and_other_data(root: Path) -> None:
    from PIL import Image
    from torchvision.transforms import Compose, InterpolationMode, PILToTensor, Resize

    transform = Compose([Resize((16, 16), InterpolationMode.BICUBIC), PILToTensor()])
    data, tree = pacs(interpolation="bicubic"), LAYOUTS["PACS"].read(root)
    inputs = data.environments[2].splits["train"].inputs
    with Image.open(root / "PACS" / tree.files[inputs.rows[0]]) as one:
        np.testing.assert_array_equal(inputs[0], transform(one.convert("RGB")).numpy())
    assert data.fingerprint != pacs().fingerprint == pacs(interpolation="bilinear").fingerprint
    with pytest.raises(RequestError, match="interpolation must be bilinear or bicubic"):
        pacs(interpolation="nearest")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "LA", "I;16"])
def test_images_of_every_mode_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    suffix = {"CMYK": "jpg"}.get(mode, "png")
    source = image(0).convert("I") if mode == "I;16" else image(0)
    source.convert(mode).save(tmp_path / f"x.{suffix}")
    assert read_image(tmp_path / f"x.{suffix}", 8).shape == (3, 8, 8)


@pytest.mark.parametrize("trial_seed", [0, 3])
def test_domainbeds_splits(root: Path, trial_seed: int) -> None:
    """``split_dataset(env, int(len(env) * 0.2), seed_hash(trial_seed, i))``, written out again."""
    import hashlib

    data = pacs(domainbed={"seed": 5, "trial_seed": trial_seed})
    for i, environment in enumerate(data.environments):
        text = str((trial_seed, i)).encode()
        seed = int(hashlib.md5(text, usedforsecurity=False).hexdigest(), 16) % 2**31
        keys = list(range(70))
        np.random.RandomState(seed).shuffle(keys)
        rows = np.array(keys) + 70 * i
        assert environment.splits["val"].inputs.rows.tolist() == rows[:14].tolist()
        assert environment.splits["train"].inputs.rows.tolist() == rows[14:].tolist()
        labels = np.repeat(np.arange(7), 10)[np.array(keys)]
        np.testing.assert_array_equal(environment.splits["train"].labels, labels[14:])


def test_our_splits_share_no_image_and_leave_none_out(root: Path) -> None:
    data, other = pacs(), pacs(holdout=0.1)
    for i, environment in enumerate(data.environments):
        sizes = {part: len(split) for part, split in environment.splits.items()}
        assert sizes == {"train": 42, "val": 14, "test": 14}
        rows = np.concatenate([split.inputs.rows for split in environment.splits.values()])
        assert sorted(rows) == list(range(70 * i, 70 * (i + 1)))
        assert len(other.environments[i].splits["train"]) == 56
    again = DATASETS.get("PACS").load({"size": 16}, 1)
    assert data.fingerprint == pacs().fingerprint != again.fingerprint != other.fingerprint


def test_the_same_files_elsewhere_are_the_same_data(root: Path, monkeypatch, tmp_path) -> None:
    """And a changed file is other data, though its name and size are the same."""
    first = pacs().fingerprint
    shutil.copytree(root, tmp_path / "elsewhere")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "elsewhere"))
    assert pacs().fingerprint == first
    file = tmp_path / "elsewhere" / "PACS" / "sketch" / "dog" / "pic_000.png"
    before = file.stat()
    data = bytearray(image(12345).convert("RGB").tobytes())  # other pixels ...
    replaced = image(0)
    replaced.frombytes(bytes(data))
    replaced.save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert pacs().fingerprint != first


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda p: shutil.rmtree(p / "sketch" / "horse"), r"sketch must have .* missing: horse"),
        (lambda p: (p / "photo" / "cat").mkdir(), r"photo must have .* not expected there: cat"),
        (lambda p: shutil.rmtree(p / "cartoon"), r"PACS must have .* missing: cartoon"),
        (lambda p: (p / "MACOSX").mkdir(), r"not expected there: MACOSX"),
        (lambda p: (p / "more").symlink_to("gone"), r"PACS/more is a link to nothing \(gone\)"),
        (lambda p: shutil.rmtree(p), r"PACS needs files that are not here: no PACS in .*download"),
        (
            lambda p: [f.unlink() for f in (p / "photo" / "dog").iterdir()],
            r"photo/dog has no image",
        ),
    ],
)
def test_a_missing_or_stray_folder_is_named_and_nothing_is_created(root, harm, told) -> None:
    harm(root / "PACS")
    before = sorted(root.rglob("*"))
    with pytest.raises(RequestError, match=told):
        pacs()
    assert sorted(root.rglob("*")) == before


def test_the_layouts_have_the_known_sizes() -> None:
    for name, layout in LAYOUTS.items():
        spec = DATASETS.get(name)
        assert spec.num_classes == layout.num_classes
        assert list(layout.environments.values()) == sorted(layout.environments.values()), (
            f"{name}: DomainBed numbers environments by the names of their folders"
        )
        assert len(layout.classes) in (0, layout.num_classes)
        assert list(layout.classes) == sorted(layout.classes)


def test_a_corrupt_image_is_named_or_skipped(root: Path) -> None:
    bad = root / "PACS" / "photo" / "dog" / "pic_003.png"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(RequestError, match=r"1 of 280 files .*dog/pic_003.png.*corrupt: skip"):
        pacs()
    assert not list(Path(os.environ["OODBENCH_CACHE"]).glob("*.npy"))
    data = pacs(corrupt="skip")
    photo = data.environments[2].splits
    rows = np.concatenate([split.inputs.rows for split in photo.values()])
    assert sorted(set(range(140, 210)) - set(rows)) == [143]


def test_a_black_image_is_no_corrupt_one(root: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(root / "PACS" / "photo" / "dog" / "pic_003.png")
    data = pacs(corrupt="skip")
    assert sum(len(split) for split in data.environments[2].splits.values()) == 70


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 4}, "size must be a whole number from 8"),
        ({"size": 16.0}, "size must be"),
        ({"holdout": 0.5}, "holdout must be between"),
        ({"holdout": 0.001}, "is none"),
        ({"corrupt": "maybe"}, "corrupt must be fail or skip"),
        ({"domainbed": {"seed": 1}}, "domainbed needs"),
        ({"sise": 3}, "size"),
        (
            {"augment": "all"},
            "augment must be one of domainbed, none, randaugment, augmix, crop_flip, not 'all'",
        ),
        ({"augment_id_val": 1}, "augment_id_val must be true or false"),
        ({"augment": "none", "augment_id_val": True}, "needs augment: domainbed, not none"),
        ({"augment": "augmix", "augment_id_val": True}, "needs augment: domainbed, not augmix"),
    ],
)
def test_bad_options_are_refused(root: Path, options: dict, told: str) -> None:
    with pytest.raises(OodbenchError, match=told):
        pacs(**options)


def test_augmentation_is_domainbeds_unless_told_otherwise(root: Path) -> None:
    """It changes no image, label or split: the data are the same."""
    usual, never = pacs(), pacs(augment="none")
    assert (usual.augment, usual.augment_id_val) == ("domainbed", False)
    assert (never.augment, pacs(augment_id_val=True).augment_id_val) == ("", True)
    assert pacs(augment="randaugment").augment == "randaugment"
    assert usual.fingerprint == never.fingerprint


@pytest.mark.parametrize(
    "option", [{"augment": "domainbed"}, {"augment": "augmix"}, {"augment_id_val": True}]
)
def test_features_that_are_computed_once_are_not_augmented(root: Path, option: dict) -> None:
    from oodbench.sweep.plan import plan

    sweep = {
        "name": "heads",
        "datasets": [{"name": "PACS", "size": 16, "test_environments": [0], **option}],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "resnet18", "train": "head"},
        "search": {"trials": 1},
        "train": {"steps": 1, "batch": {"per_environment": 2}},
    }
    with pytest.raises(SweepError, match=rf"PACS asks for {next(iter(option))}.*use train: all"):
        plan(sweep)


def test_a_folder_of_ones_own(root: Path) -> None:
    write_tree(root / "mine", ("day", "night", "rain"), ("cat", "dog"), count=5)
    options = {"folder": "mine", "size": 16}
    spec = DATASETS.get("ImageFolders").resolved(options)
    assert (spec.environments, spec.num_classes) == (("day", "night", "rain"), 2)
    data = spec.load(options, 0)
    assert [e.name for e in data.environments] == ["day", "night", "rain"]
    assert spec.summarize is not None
    assert spec.summarize(options)[2:] == [
        "    0 = day: 10",
        "    1 = night: 10",
        "    2 = rain: 10",
    ]
    shutil.rmtree(root / "mine" / "rain" / "cat")
    with pytest.raises(RequestError, match=r"rain must have .* missing: cat"):
        spec.resolved(options)
    with pytest.raises(RequestError, match="no folder 'yours'"):
        spec.resolved({"folder": "yours"})
    with pytest.raises(RequestError, match="needs folder"):
        spec.resolved({})
    with pytest.raises(RequestError, match="two at least"):
        read_tree(write_tree(root / "single", ("only",), ("cat", "dog"), count=1))


def test_a_sweep_of_a_folder_is_trained_and_scored(root: Path, tmp_path: Path) -> None:
    """Test environments in turn; a test environment is scored on all but its validation part."""
    import oodbench

    write_tree(root / "mine", ("day", "night", "rain"), ("cat", "dog"), count=10)
    sweep = {
        "name": "mine",
        "datasets": [
            {"name": "ImageFolders", "folder": "mine", "size": 8, "test_environments": "each"}
        ],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "mlp", "width": 8, "depth": 1},
        "search": {"trials": 1},
        "train": {"steps": 2, "batch": {"per_environment": 4}},
    }
    oodbench.run_sweep(sweep, tmp_path / "mine.db", workers=1)
    runs = oodbench.query(tmp_path / "mine.db")
    assert runs["status"].tolist() == ["completed"] * 3
    assert runs[["n_id_val", "n_id", "n_ood"]].to_numpy().tolist() == [[8, 8, 16]] * 3
    splits = oodbench.query(
        tmp_path / "mine.db", sql="SELECT DISTINCT split, n FROM curves WHERE role = 'ood_test'"
    )
    assert splits.to_numpy().tolist() == [["train+test", 16]]


def test_the_real_sample_of_pacs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sample = Path(os.environ.get("OODBENCH_TEST_DATA", "")) / "PACS_sample"
    if not (os.environ.get("OODBENCH_TEST_DATA") and sample.is_dir()):
        pytest.skip("needs OODBENCH_TEST_DATA to name a folder that has PACS_sample")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PACS").symlink_to(sample)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    data = pacs(size=64)
    assert [e.name for e in data.environments] == ["A", "C", "P", "S"]
    for environment in data.environments:
        labels = np.concatenate([split.labels for split in environment.splits.values()])
        assert np.bincount(labels).tolist() == [40] * 7
    sketch = data.environments[3].splits["train"].inputs[:10]
    assert sketch.mean() > 200  # black lines on white
