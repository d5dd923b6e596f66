"""ImageNet's targets: which classes each has, and accuracies as their authors measure them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from imagenet_helpers import (
    OVERLAP,
    SIZE,
    listed,
    objectnet_groups,
    picture,
    wnids,
    write_imagenet,
    write_targets,
)
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

from domainbed_adapters.image_reading import read_image
from domainbed_adapters.imagenet_files import TARGETS, all_classes, read_target
from oodbench import api
from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError, UnknownNameError

pytest.importorskip("timm")
HERE = ("imagenetv2", "imagenet-a", "imagenet-r", "objectnet")
GIVEN = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SHOWN = Compose([Resize(9), CenterCrop(SIZE), ToTensor(), GIVEN])
"""As their authors show images, in proportion: 8 / 0.875 is 9.14."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imagenet")
    write_imagenet(root)
    write_targets(root)
    return root


@pytest.fixture
def root(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fewer images than were published, but all classes."""
    monkeypatch.setenv("OODBENCH_DATA", str(written))
    for name, count in (("imagenetv2", 1000), ("imagenet-a", 200), ("imagenet-r", 200)):
        monkeypatch.setitem(TARGETS, name, replaced(name, count))
    return written


def replaced(name: str, images: int):
    from dataclasses import replace

    return replace(TARGETS[name], images=images)


def load(**options: object) -> Dataset:
    return DATASETS.get("ImageNet").load({"size": SIZE, **options}, 0)


@pytest.mark.parametrize("kind", ["a", "r"])
def test_the_classes_of_a_and_r_are_those_of_timm(root: Path, kind: str) -> None:
    found = read_target(f"imagenet-{kind}", all_classes("imagenet"), partial=False)
    indices = [int(number) for number in listed(f"{kind}_indices")]
    assert found.counts_as is not None
    assert len(indices) == 200
    np.testing.assert_array_equal(np.flatnonzero(found.counts_as >= 0), indices)
    np.testing.assert_array_equal(found.counts_as[indices], indices)
    np.testing.assert_array_equal(found.tree.labels, indices)


def test_objectnets_classes_count_as_the_first_of_theirs(root: Path) -> None:
    found = read_target("objectnet", all_classes("imagenet"), partial=False)
    assert found.counts_as is not None
    assert len(set(found.counts_as)) == OVERLAP + 1
    assert (found.counts_as >= 0).sum() == OVERLAP + 12
    for group in objectnet_groups():
        assert {int(found.counts_as[label]) for label in group} == {min(group)}
    assert sorted(found.tree.labels) == sorted(min(group) for group in objectnet_groups())


def test_splits_and_labels(root: Path) -> None:
    dataset = load(holdout=0.1)
    assert [environment.name for environment in dataset.environments] == ["imagenet", *HERE]
    own = dataset.environments[0].splits
    assert {name: len(split) for name, split in own.items()} == {
        "train": 1800,
        "val": 200,
        "test": 1000,
    }
    np.testing.assert_array_equal(own["test"].labels, np.arange(1000))
    seen = np.concatenate([own["train"].labels, own["val"].labels])
    np.testing.assert_array_equal(np.bincount(seen), np.full(1000, 2))
    rows = np.array([3, 411, 999])
    for image, label in zip(own["test"].inputs[rows], rows, strict=True):
        expected = Compose([Resize(9), CenterCrop(8)])(Image.fromarray(picture(label, 2)))
        np.testing.assert_array_equal(image.transpose(1, 2, 0), np.asarray(expected))
    assert dataset.environments[1].counts_as is None
    assert dataset.environments[2].counts_as is not None


@pytest.mark.parametrize("shape", [(300, 500), (500, 333), (256, 256), (224, 1000)])
def test_images_are_cropped_as_torchvision_crops_them(tmp_path: Path, shape) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "one.png")
    show = Compose([Resize(256), CenterCrop(224)])
    found = read_image(tmp_path / "one.png", 224, "centre").transpose(1, 2, 0)
    np.testing.assert_array_equal(found, np.asarray(show(image)))
    found = read_image(tmp_path / "one.png", 224, "bordered").transpose(1, 2, 0)
    np.testing.assert_array_equal(found, np.asarray(show(ImageOps.crop(image, 2))))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a ResNet-18 that is right now and then, as the nearest training image is."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet18(num_classes=1000).eval()
    shown = torch.stack([SHOWN(Image.fromarray(picture(k, 0))) for k in range(1000)])
    head, model.fc = model.fc, torch.nn.Identity()
    with torch.no_grad():
        features = torch.cat([model(part) for part in shown.split(100)])
        centred = features - features.mean(0)
        head.weight.copy_(centred)  # the nearest of the training images
        head.bias.copy_(-(centred @ features.mean(0)) - centred.square().sum(1) / 2)
    model.fc = head
    torch.save(model.state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def authors_evaluation(root: Path, weights: Path) -> dict[str, float]:
    """``output[:, mask]``, as the code of ImageNet-A and -R has it; ObjectNet by its groups."""
    model = resnet18(num_classes=1000).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))

    @torch.no_grad()
    def outputs(folder: str, show=SHOWN) -> tuple[torch.Tensor, ImageFolder]:
        images = ImageFolder(str(root / folder), transform=show)
        parts = torch.stack([image for image, _ in images]).split(100)
        return torch.cat([model(part) for part in parts]), images

    logits, images = outputs("imagenet/val")
    result = {"val": (logits.argmax(1).numpy() == images.targets).mean()}
    logits, images = outputs(TARGETS["imagenetv2"].folders[0])  # its folders sort as texts
    labels = [int(images.classes[target]) for target in images.targets]
    result["imagenetv2"] = (logits.argmax(1).numpy() == labels).mean()
    for kind in "ar":
        logits, images = outputs(f"imagenet-{kind}")
        mask = [wnid in set(listed(f"{kind}_synsets")) for wnid in wnids()]
        result[f"imagenet-{kind}"] = (logits[:, mask].argmax(1).numpy() == images.targets).mean()
    bordered = Compose([lambda image: ImageOps.crop(image, 2), SHOWN])
    logits, images = outputs("objectnet-1.0/images", bordered)
    groups = {f"thing_{number}": group for number, group in enumerate(objectnet_groups())}
    of_group = {name: logits[:, group].max(1).values for name, group in groups.items()}
    names, right = list(of_group), []
    best = torch.stack([of_group[name] for name in names], 1).argmax(1)
    for row, target in enumerate(images.targets):
        folder = images.classes[target]
        if folder in groups:
            right.append(names[best[row]] == folder)
    return result | {"objectnet": float(np.mean(right))}


def test_scores_of_a_published_model_as_the_authors_code_has_them(
    root: Path, weights: Path
) -> None:
    frame = api.score("ImageNet", model="resnet18", weights=weights, size=SIZE)
    ours, n = frame.set_index("score")["value"], frame.set_index("score")["n"]
    theirs = authors_evaluation(root, weights)
    assert dict(ours) == pytest.approx(theirs)
    assert dict(n) == {"val": 1000, "imagenetv2": 1000, "imagenet-a": 200, "imagenet-r": 200} | {
        "objectnet": OVERLAP
    }
    assert all(0.02 < value < 1 for value in theirs.values())


def test_the_command_prints_them(
    root: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from oodbench.cli.score import score

    score("ImageNet", model="resnet18", weights=weights, size=SIZE)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[2:7]] == ["val", *HERE]
    assert printed[-1] == f"ImageNet, {weights}; value: a fraction of n test images."


def test_the_folder_of_the_default_is_checked_without_its_name(root: Path) -> None:
    from oodbench.cli.catalogue import verified

    found = verified(DATASETS.get("ImageNet"), {}, asked=True).splitlines()
    assert found[0] == f"{root / 'imagenet'} is complete and right"
    assert f"  objectnet: {OVERLAP} images" in found


def test_what_is_not_as_published_is_refused(root: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(root / "imagenet-a", tmp_path / "imagenet-a")
    shutil.copytree(root / "objectnet-1.0/mappings", tmp_path / "objectnet-1.0/mappings")
    shutil.copytree(root / "objectnet-1.0/images", tmp_path / "objectnet-1.0/images")
    monkeypatch.setenv("OODBENCH_DATA", f"{tmp_path}:{root}")
    shutil.rmtree(tmp_path / "imagenet-a" / listed("a_synsets")[7])
    with pytest.raises(RequestError, match=r"folders of 199 of the classes.*200 were published"):
        load(targets=["imagenet-a"])
    table = tmp_path / "objectnet-1.0/mappings/objectnet_to_imagenet_1k.json"
    table.write_text(table.read_text().replace('"Thing 3"', '"Thing x"'))
    with pytest.raises(RequestError, match=r"113 classes.*give 112"):
        load(targets=["objectnet"])
    table.write_text("[]")
    with pytest.raises(RequestError, match="no table"):
        load(targets=["objectnet"])
    monkeypatch.setitem(TARGETS, "imagenet-r", replaced("imagenet-r", 30_000))
    with pytest.raises(RequestError, match="200 images, but 30,000"):
        load(targets=["imagenet-r"])
    assert load(targets=["imagenet-r"], partial=True).environments[1].name == "imagenet-r"
    with pytest.raises(RequestError, match="imagenet-sketch needs the folder sketch"):
        load(targets=["imagenet-sketch"])
    with pytest.raises(UnknownNameError, match="imagenet-a"):
        load(targets=["imagenet-b"])


def test_a_flat_folder_of_validation_images_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "imagenet/val").mkdir(parents=True)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    with pytest.raises(RequestError, match="Sort ImageNet's validation images"):
        DATASETS.get("ImageNet").scores.measure(lambda images, counts_as=None: images, SIZE, False)
