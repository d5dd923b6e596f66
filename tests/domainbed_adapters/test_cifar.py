"""CIFAR-10 and its targets: what stands in the files is what is trained and scored on."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from cifar_helpers import CLASSES, images, labels, write_batches, write_targets
from PIL import Image
from target_helpers import trained

import oodbench
from domainbed_adapters.cifar_targets import CORRUPTIONS, TARGETS, wanted
from oodbench.data import DATASETS, Dataset, DatasetSpec
from oodbench.errors import RequestError, UnknownNameError
from oodbench.sweep import parse_sweep
from oodbench.verbs.rehearsal import rehearse

HERE = ("cifar10.1-v6", "cifar10.2", *(f"fog-{s}" for s in range(1, 6)))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    write_batches(tmp_path)
    write_targets(tmp_path)
    return tmp_path


def load(data_seed: int = 0, **options: object) -> Dataset:
    return DATASETS.get("CIFAR10").load({"partial": True, **options}, data_seed)


def spec(**options: object) -> DatasetSpec:
    return DATASETS.get("CIFAR10").resolved(options)


def in_order(dataset: Dataset, environment: int, split: str = "test") -> np.ndarray:
    """(n, 32, 32, 3) as the files have them."""
    found = dataset.environments[environment].splits[split]
    return np.asarray(found.inputs[np.arange(len(found))]).transpose(0, 2, 3, 1)


def test_every_image_of_the_batches_has_its_label(root: Path) -> None:
    dataset = load(holdout=0.2)
    splits = dataset.environments[0].splits
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 80,
        "val": 20,
        "test": 20,
    }
    files = {image.tobytes(): label for s in range(5) for image, label in pairs(20, s)}
    seen = {}
    for part in ("train", "val"):
        for image, label in zip(in_order(dataset, 0, part), splits[part].labels, strict=True):
            seen[image.tobytes()] = label
    assert seen == files
    np.testing.assert_array_equal(in_order(dataset, 0), images(20, 5))
    np.testing.assert_array_equal(splits["test"].labels, labels(20))


def pairs(n: int, seed: int):
    return zip(images(n, seed), labels(n), strict=True)


def test_each_target_is_its_file(root: Path) -> None:
    dataset = load()
    names = [environment.name for environment in dataset.environments]
    assert names == ["cifar10", *HERE] == list(spec().environments)
    np.testing.assert_array_equal(in_order(dataset, 1), images(20, 61))
    np.testing.assert_array_equal(in_order(dataset, 2), images(20, 62))
    np.testing.assert_array_equal(in_order(dataset, 5), images(100, 70)[40:60])
    for environment in dataset.environments[1:]:
        np.testing.assert_array_equal(environment.splits["test"].labels, labels(20))
        assert environment.is_target


def test_a_corrupted_image_has_the_number_of_its_original(root: Path) -> None:
    original, *_, fog_4, fog_5 = (e.splits["test"] for e in load().environments)
    assert original.numbers is not None
    np.testing.assert_array_equal(original.numbers, np.arange(100, 120))
    np.testing.assert_array_equal(fog_4.numbers, original.numbers)
    np.testing.assert_array_equal(fog_5.numbers, original.numbers)


def test_all_corruptions_show_the_same_few_images(root: Path) -> None:
    whole, few = load(), load(per_corruption=7)
    chosen = few.environments[3].splits["test"].numbers
    assert chosen is not None
    assert len(set(chosen)) == 7
    for place in range(3, 8):
        np.testing.assert_array_equal(few.environments[place].splits["test"].numbers, chosen)
        rows = in_order(whole, place)[chosen - 100]
        np.testing.assert_array_equal(in_order(few, place), rows)
    assert len(few.environments[1].splits["test"]) == 20
    assert few.fingerprint != whole.fingerprint


def test_names_and_groups_of_targets(root: Path) -> None:
    assert len(TARGETS) == 3 + 15 * 5
    assert wanted("all") == HERE
    assert wanted(["fog-3", "cifar10.1", "fog-1"]) == (
        "cifar10.1-v4",
        "cifar10.1-v6",
        "fog-1",
        "fog-3",
    )
    assert len(wanted("cifar10-c")) == 75
    assert wanted("snow") == tuple(f"snow-{s}" for s in range(1, 6))
    with pytest.raises(UnknownNameError, match="fog"):
        wanted(["fogg"])
    with pytest.raises(RequestError, match="targets must be"):
        wanted([])


def test_the_mean_is_reported_over_all_of_cifar_10_c_alone(root: Path) -> None:
    assert spec(targets="cifar10-c").mean_of_targets
    assert not spec(targets=["cifar10-c", "cifar10.2"]).mean_of_targets
    assert spec(targets=["fog"]).targets == (1, 2, 3, 4, 5)


def test_what_is_not_here_is_left_out_and_listed(root: Path) -> None:
    about = DATASETS.get("CIFAR10")
    assert about.verify is not None
    assert about.summarize is not None
    assert about.verify({"partial": True}) == root / "cifar-10-batches-py"
    listed = "\n".join(about.summarize({}))
    assert "7 targets" in listed
    assert "cifar10.1_v4_data.npy" in listed
    assert "CIFAR-10-C/snow.npy" in listed
    with pytest.raises(RequestError, match=r"the target cifar10\.1-v4 needs"):
        load(targets=["cifar10.1-v4"])


def test_a_folder_of_images(root: Path) -> None:
    """Its classes are in the order of the labels; its test images in another than the batches."""
    for part, seed in (("train", 1), ("test", 2)):
        for number, pixels in enumerate(images(20, seed)):
            where = root / "mine" / part / CLASSES[number // 2]
            where.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(where / f"{number:02}.png")
    dataset = load(folder="mine", targets=["fog"])
    np.testing.assert_array_equal(in_order(dataset, 0), images(20, 2))
    splits = dataset.environments[0].splits
    np.testing.assert_array_equal(splits["test"].labels, np.repeat(np.arange(10), 2))
    numbers = [environment.splits["test"].numbers for environment in dataset.environments]
    assert all(set(numbers[0]).isdisjoint(one) for one in numbers[1:])
    np.testing.assert_array_equal(numbers[1], numbers[5])


def test_enlarged_images_are_pillows(root: Path) -> None:
    dataset = load(size=48, targets=["fog-2"])
    assert dataset.input_shape == (3, 48, 48)
    for place, file in ((0, images(20, 5)), (1, images(100, 70)[20:40])):
        for ours, theirs in zip(in_order(dataset, place), file, strict=True):
            resized = Image.fromarray(theirs).resize((48, 48), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(ours, np.asarray(resized))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_batches_of_any_protocol(tmp_path: Path, monkeypatch, protocol: int) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    write_batches(tmp_path, protocol=protocol)
    np.testing.assert_array_equal(in_order(load(), 0), images(20, 5))


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


def test_a_pickle_that_calls_anything_else_is_refused(root: Path, monkeypatch) -> None:
    monkeypatch.chdir(root)
    batch = root / "cifar-10-batches-py/data_batch_3"
    batch.write_bytes(pickle.dumps({"data": Evil()}, 2))
    with pytest.raises(RequestError, match=r"data_batch_3 .*mkdir"):
        load()
    assert not (root / "ran").exists()


def test_damaged_files_are_named(root: Path) -> None:
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for content in (b"", whole[: len(whole) // 2], b"no such file" * 10):
            path.write_bytes(content)
            with pytest.raises(RequestError, match=path.name.split("_")[0]):
                load()
        path.write_bytes(whole)
    load()


def test_labels_and_shapes_are_checked(root: Path) -> None:
    np.save(root / "CIFAR-10-C/labels.npy", labels(100).astype(np.uint8))
    with pytest.raises(RequestError, match="five times"):
        load(targets=["fog"])
    np.save(root / "CIFAR-10-C/labels.npy", np.full(100, 10))
    with pytest.raises(RequestError, match="from 0 to 9"):
        load(targets=["fog"])
    np.save(root / "CIFAR-10-C/fog.npy", images(100, 0)[:, :16])
    with pytest.raises(RequestError, match=r"\(100, 16, 32, 3\)"):
        load(targets=["fog"])


def test_fewer_images_than_were_published(root: Path) -> None:
    with pytest.raises(RequestError, match=r"100 images of train, but 50,000.*partial: true"):
        load(partial=False)
    shutil.rmtree(root / "cifar-10-batches-py")
    with pytest.raises(RequestError, match=r"there is no .*cifar-10-batches-py; get"):
        load()


@pytest.mark.parametrize(
    "options",
    [{"size": 4}, {"holdout": 1}, {"augment": "x"}, {"partial": 1}, {"per_corruption": 0}],
)
def test_options_are_checked(root: Path, options: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=next(iter(options))):
        load(**options)


def test_the_corruptions_are_the_papers_fifteen() -> None:
    assert len(set(CORRUPTIONS)) == 15


def test_one_training_is_scored_on_each_target(root: Path) -> None:
    db = trained(
        root / "cifar.db",
        {
            "name": "small",
            "datasets": [{"name": "CIFAR10", "partial": True, "targets": ["fog-2", "cifar10.2"]}],
            "algorithms": ["erm"],
            "optimizers": ["momentum"],
            "model": "resnet20",
            "search": {"trials": 1},
            "train": {"steps": 2, "batch": {"size": 8}, "evaluate_every": 2},
        },
    )
    (run,) = oodbench.query(db).to_dict("records")
    assert run["status"] == "completed"
    assert (run["n_id"], run["n_ood[fog-2]"], run["n_ood[cifar10.2]"]) == (20, 20, 20)
    for target in ("fog-2", "cifar10.2"):
        right = 20 * run[f"ood[{target}]"]
        assert right == pytest.approx(round(right))


def test_a_sweep_is_estimated_without_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    asked = parse_sweep(
        {
            "name": "cifar",
            "datasets": [{"name": "CIFAR10", "targets": ["fog-5"]}],
            "algorithms": ["erm"],
            "optimizers": ["sgd"],
            "model": "resnet20",
            "search": {"trials": 2},
            "train": {"steps": 10, "batch": {"per_environment": 8}},
        }
    )
    assert "cifar-10-python.tar.gz" in rehearse(asked).unchecked["CIFAR10"]
