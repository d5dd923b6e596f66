"""Accuracies, BG-gap and challenge score against an evaluator of ten lines, and by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from backgrounds_helpers import CLASSES, SIZE, VARIANTS, picture, write_release
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import Compose, Normalize, ToTensor

from domainbed_adapters.backgrounds_scores import BATCH, challenge
from domainbed_adapters.in9 import of_imagenet
from oodbench import api
from oodbench.errors import RequestError

NAME = "BackgroundsChallenge"
TABBY = 281
IN9 = Normalize((0.4717, 0.4499, 0.3837), (0.26, 0.2516, 0.2575))
IMAGENET = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the release alone: nothing to train on is needed."""
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return write_release(tmp_path / "data")


@torch.no_grad()
def published(tmp_path: Path, classes: int) -> tuple[torch.nn.Module, Path]:
    """A network whose last layer tells clean images apart, and the file of its weights.

    That of 1,000 classes has the same answers, each at the first of ImageNet's classes that mean
    it, but for dogs: what looks like one is called a tabby, which is none of the nine.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet18(num_classes=classes).eval()
    head, model.fc = model.fc, torch.nn.Identity()
    rng = np.random.default_rng(0)
    labels = [label for label in range(9) for _ in range(40)]
    kinds = ["original", "mixed_rand"] * (len(labels) // 2)
    pictures = [picture(rng, *about) for about in zip(kinds, labels, strict=True)]
    shown = torch.stack([ToTensor()(image) for image in pictures])
    features = model((IN9 if classes == 9 else IMAGENET)(shown))
    solved = torch.linalg.lstsq(
        torch.cat([features, torch.ones(len(labels), 1)], 1),
        torch.nn.functional.one_hot(torch.tensor(labels)).float(),
        driver="gelsd",
    ).solution
    means = of_imagenet().tolist()
    at = range(9) if classes == 9 else [TABBY, *map(means.index, range(1, 9))]
    if classes in (9, 1000):
        head.weight.zero_()
        head.bias.fill_(-100)
        head.weight[list(at)], head.bias[list(at)] = solved[:-1].T, solved[-1]
    model.fc = head
    torch.save(model.state_dict(), tmp_path / f"{classes}.pth")
    return model, tmp_path / f"{classes}.pth"


@pytest.mark.parametrize(("classes", "normalize"), [(9, IN9), (1000, IMAGENET)])
def test_all_variants_as_ten_lines_evaluate_them(
    root: Path, tmp_path: Path, classes: int, normalize: Normalize
) -> None:
    model, file = published(tmp_path, classes)
    mapped = torch.from_numpy(of_imagenet()) if classes == 1000 else torch.arange(9)
    theirs = {}
    for variant in VARIANTS:
        where = root / "bg_challenge" / variant / "val"
        images = ImageFolder(str(where), transform=Compose([ToTensor(), normalize]))
        with torch.no_grad():
            guesses = mapped[model(torch.stack([image for image, _ in images])).argmax(1)]
        theirs[variant] = np.mean(guesses.numpy() == images.targets)
    frame = api.score(NAME, model="resnet18", weights=file, size=SIZE)
    ours = frame.set_index("score")["value"]
    assert ours[list(VARIANTS)].to_dict() == pytest.approx(theirs, abs=1e-12)
    assert ours["bg_gap"] == pytest.approx(theirs["mixed_same"] - theirs["mixed_rand"], abs=1e-12)
    assert list(ours.index) == [*VARIANTS, "bg_gap"]
    assert set(frame["n"]) == {27}
    clean = 1 if classes == 9 else 8 / 9
    assert theirs["original"] == pytest.approx(clean, abs=0.08)
    assert len(set(theirs.values())) > 3  # else nothing was compared


def test_the_challenge_score_as_its_authors_compute_it(root: Path, tmp_path: Path) -> None:
    """``challenge_eval.py``: any background of only_bg_t that changes its class turns an image."""
    model, file = published(tmp_path, 9)
    release = root / "bg_challenge"
    backgrounds = ImageFolder(str(release / "only_bg_t" / "val"), transform=ToTensor())
    behind = torch.stack([image for image, _ in backgrounds])
    turned = []
    for label, name in enumerate(CLASSES):
        for path in sorted((release / "fg_mask" / "val" / name).iterdir()):
            mask = torch.from_numpy(np.load(path)).float()
            original = release / "original" / "val" / name / f"{path.stem}.JPEG"
            with Image.open(original) as opened:
                image = ToTensor()(opened)
            with torch.no_grad():
                guesses = model(IN9(behind * (1 - mask) + mask * image)).argmax(1)
            turned.append(bool((guesses != label).any()))
    found = api.score(NAME, model="resnet18", weights=file, size=SIZE, slow=True)
    assert 0 < sum(turned) < len(turned)  # else nothing was compared
    assert found.set_index("score")["value"]["challenge"] == 1 - np.mean(turned)


def test_the_challenge_score_by_hand() -> None:
    """A classifier that looks at one corner: class 1 where it is bright, else class 0."""

    def corner(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return (images[:, 0, 0, 0] > 128).astype(np.int64)

    seen: list[int] = []
    dark, bright = (np.full((3, 2, 2), value, np.uint8) for value in (10, 200))
    backgrounds = np.stack([dark] * BATCH + [bright])
    all_of_it, nothing = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    foregrounds = [
        (dark, all_of_it, 0),  # stays dark before whatever
        (bright, all_of_it, 1),  # stays bright
        (dark, nothing, 0),  # one background, the last, makes it bright
        (dark, nothing, 0),  # again: it is tried first now
        (bright, nothing, 1),  # most make it dark
    ]
    assert challenge(corner, iter(foregrounds), backgrounds) == 2 / 5
    assert seen == [64, 1, 64, 1, 64, 1, 64, 64]


def test_what_it_needs_is_told(root: Path, tmp_path: Path) -> None:
    _, file = published(tmp_path, 9)
    of_this = {"model": "resnet18", "weights": file}
    with pytest.raises(RequestError, match=r"masks are \(16, 16\), but the images are .* 24 x 24"):
        api.score(NAME, **of_this, size=24, slow=True)
    next((root / "bg_challenge" / "fg_mask").rglob("*_0.npy")).unlink()
    with pytest.raises(RequestError, match="1 of 27 foreground masks are missing, first"):
        api.score(NAME, **of_this, size=SIZE, slow=True)
    _, seven = published(tmp_path, 7)
    with pytest.raises(RequestError, match="has 7 classes, but BackgroundsChallenge has 9"):
        api.score(NAME, model="resnet18", weights=seven, size=SIZE)
    with pytest.raises(RequestError, match=r"has no classifier\.weight and classifier\.bias"):
        api.score(NAME, model="densenet121", weights=file, size=SIZE)
    with pytest.raises(RequestError, match="does not fit resnet50"):
        api.score(NAME, model="resnet50", weights=file, size=SIZE)
