"""Augmentation: torchvision's distributions, an amount for each image, the trial's alone."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare, ks_2samp
from torchvision.transforms import ColorJitter, RandomResizedCrop
from torchvision.transforms.v2 import functional as theirs

from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Split
from oodbench.seeds import stream
from oodbench.sweep.plan import plan
from oodbench.training import load, train
from oodbench.training.inputs.amounts import Amounts, joined
from oodbench.training.inputs.augmentation import (
    RECIPES,
    Recipe,
    TrainingImages,
    augmented,
    draw,
)
from oodbench.training.inputs.stored import StoredInputs
from oodbench.training.loop import Run

DOMAINBED = RECIPES["domainbed"]
CPU = torch.device("cpu")
N = 4000
P = 1e-4
"""Below it a test of one distribution against torchvision's fails; draws are seeded."""


def drawn(recipe: Recipe = DOMAINBED, n: int = N, size: tuple[int, int] = (224, 224)) -> Amounts:
    return draw(recipe, n, *size, stream(0, "test"))


@pytest.mark.parametrize("size", [(224, 224), (100, 300), (300, 100)])
def test_crops_have_torchvisions_distribution(size: tuple[int, int]) -> None:
    """On wide images, too, where many tries fail and the middle is taken."""
    image = torch.empty(3, *size)
    torch.manual_seed(0)
    expected = np.array(
        [RandomResizedCrop.get_params(image, (0.7, 1.0), (3 / 4, 4 / 3)) for _ in range(N)]
    )
    found = drawn(size=size).crop
    assert np.array_equal(found, found.round())
    for column in range(4):
        assert ks_2samp(found[:, column], expected[:, column]).pvalue > P
    for ours, other in ((found, "ours"), (expected, "theirs")):
        top, left, height, width = ours.T
        assert (top >= 0).all(), other
        assert (left >= 0).all(), other
        assert (top + height <= size[0]).all(), other
        assert (left + width <= size[1]).all(), other
    middle = (expected == expected[0]).all(1).mean()
    assert abs((found == expected[0]).all(1).mean() - middle) < 0.05


def test_jitters_have_torchvisions_distribution() -> None:
    jitter = ColorJitter(0.3, 0.3, 0.3, 0.3)
    torch.manual_seed(0)
    orders, factors = [], []
    for _ in range(N):
        order, *one = ColorJitter.get_params(
            jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
        )
        orders.append(order.tolist())
        factors.append(one)
    found = drawn()
    for column, expected in enumerate(np.array(factors).T):
        assert ks_2samp(found.factors[:, column], expected).pvalue > P
    codes = [np.array(o) @ [64, 16, 4, 1] for o in (orders, found.order)]
    counts = [np.unique(code, return_counts=True)[1] for code in codes]
    assert [len(count) for count in counts] == [24, 24]
    assert chi2_contingency(counts).pvalue > P


def test_half_are_mirrored_and_a_tenth_become_grey() -> None:
    found = drawn(n=20_000)
    assert found.flip.mean() == pytest.approx(0.5, abs=0.015)
    assert found.grey.mean() == pytest.approx(0.1, abs=0.01)


def test_every_image_has_amounts_of_its_own() -> None:
    found = drawn(n=1000)
    assert len(np.unique(found.factors, axis=0)) == 1000
    assert len(np.unique(found.crop, axis=0)) > 900
    table = np.c_[found.crop, found.factors, found.flip, found.grey]
    shifted = np.corrcoef(table[:-1].T, table[1:].T)[:10, 10:]
    assert np.abs(shifted).max() < 0.12  # neighbours know nothing of each other


def test_without_a_crop_the_whole_image_is_taken() -> None:
    found = drawn(RECIPES["domainbed_uncropped"], size=(10, 20))
    assert np.unique(found.crop, axis=0).tolist() == [[0, 0, 10, 20]]
    assert replace(RECIPES["domainbed_uncropped"], scale=(0.7, 1.0)) == DOMAINBED


def test_a_padded_crop_begins_anywhere_alike_often() -> None:
    """He et al. 2016: one of 9 x 9 places of the image with 4 black pixels on each side."""
    found = drawn(RECIPES["crop_flip"], n=20_000, size=(32, 32))
    places, counts = np.unique(found.crop, axis=0, return_counts=True)
    assert places.tolist() == [[y, x] for y in range(-4, 5) for x in range(-4, 5)]
    assert chisquare(counts).pvalue > P
    assert found.flip.mean() == pytest.approx(0.5, abs=0.015)
    assert (found.factors.shape[1], found.grey.any()) == (0, False)
    larger = drawn(RECIPES["crop_flip"], size=(64, 32)).crop  # as much of each side
    assert (np.abs(larger).max(axis=0) == [8, 4]).all()


def by_hand(image: np.ndarray, top: int, left: int, flip: bool) -> np.ndarray:
    """(3, 32, 32) pixel by pixel."""
    result = np.zeros_like(image)
    for y in range(32):
        for x in range(32):
            from_y, from_x = y + top, (31 - x if flip else x) + left
            if 0 <= from_y < 32 and 0 <= from_x < 32:
                result[:, y, x] = image[:, from_y, from_x]
    return result


def test_a_batch_is_padded_cropped_and_mirrored_image_by_image() -> None:
    recipe = RECIPES["crop_flip"]
    found = images(recipe, seeds=(0, 1))(torch.arange(60).view(1, 2, 30).repeat(2, 1, 1), 7)
    for model in (0, 1):
        amounts = draw(recipe, 60, 32, 32, stream(model, "augmentation", 7))
        assert len(np.unique(amounts.crop, axis=0)) > 30
        for i, image in enumerate(STORED):
            top, left = amounts.crop[i].astype(int)
            expected = by_hand(image, top, left, amounts.flip[i]) / np.float32(255)
            assert np.array_equal(found[model].flatten(0, 1)[i].numpy(), expected)


def by_torchvision(image: torch.Tensor, amounts: Amounts) -> torch.Tensor:
    """One image, changed by torchvision's functions in the order of DomainBed's transforms."""
    size = list(image.shape[-2:])
    crop = [int(value) for value in amounts.crop[0]]
    image = theirs.resized_crop(image, *crop, size, antialias=True)
    image = theirs.horizontal_flip(image) if amounts.flip[0] else image
    names = ("brightness", "contrast", "saturation", "hue")
    for which in amounts.order[0]:
        adjust = getattr(theirs, f"adjust_{names[which]}")
        image = adjust(image, float(amounts.factors[0, which]))
    return theirs.rgb_to_grayscale(image, 3) if amounts.grey[0] else image


STORED = np.random.default_rng(0).integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)


def images(recipe: Recipe = DOMAINBED, seeds: tuple[int, ...] = (0,)) -> TrainingImages:
    inputs = StoredInputs(Rows(STORED, np.arange(60)), torch.float32, CPU)
    return TrainingImages(inputs, recipe, seeds)


def test_a_batch_is_what_torchvision_makes_of_each_image() -> None:
    indices = torch.arange(60).view(1, 2, 30)
    found = images(replace(DOMAINBED, grey=0.3))(indices, 7).flatten(0, 2)
    amounts = draw(replace(DOMAINBED, grey=0.3), 60, 32, 32, stream(0, "augmentation", 7))
    assert 0 < amounts.grey.sum() < 60
    for i, image in enumerate(torch.from_numpy(STORED).float() / 255):
        expected = by_torchvision(image, amounts[i : i + 1])
        torch.testing.assert_close(found[i], expected, rtol=0, atol=5e-5)


def test_a_stack_sees_what_its_models_would_see_alone_at_any_step() -> None:
    indices = torch.arange(24).view(2, 3, 4)
    together = images(seeds=(3, 5))
    for step in (0, 9, 4):  # in any order: nothing is kept from step to step
        both = together(indices, step).clone()
        for model, seed in enumerate((3, 5)):
            alone = images(seeds=(seed,))(indices[model : model + 1], step)
            assert torch.equal(both[model : model + 1], alone)
    again, other = images()(indices[:1], 4).clone(), images()(indices[:1], 5)
    assert not torch.equal(again, other)
    assert not torch.equal(again, images(seeds=(1,))(indices[:1], 4))


def test_amounts_can_be_chosen_and_joined() -> None:
    found = drawn(n=10)
    again = joined([found[:4], found[np.arange(4, 10)]])
    for field in fields(Amounts):
        assert np.array_equal(getattr(again, field.name), getattr(found, field.name))
    assert len(again) == 10


def build(data_seed: int, augment: str = "domainbed", id_val: bool = False) -> Dataset:
    """Three environments of 20 images; the label is whether an image is bright."""
    labels = (STORED.mean(axis=(1, 2, 3)) > STORED.mean()).astype(np.int64)
    environments = []
    for i, name in enumerate("abc"):
        rows = np.arange(20 * i, 20 * i + 20)
        parts = {"train": rows[:12], "val": rows[12:16], "test": rows[16:]}
        splits = {part: Split(Rows(STORED, r), labels[r]) for part, r in parts.items()}
        environments.append(Environment(name, splits))
    recipe = "" if augment == "none" else augment
    return Dataset("Bright", tuple(environments), 2, False, "bright", recipe, id_val)


def plain(rows: slice) -> torch.Tensor:
    return torch.from_numpy(STORED[rows]).float() / 255


def test_only_training_batches_are_augmented() -> None:
    tensors = load(build(0), (2,), CPU, torch.float32)
    assert tensors.augment == "domainbed"
    for split, rows in zip(
        tensors.evaluation, [(12, 16), (16, 20), (32, 36), (36, 40), (52, 56)], strict=False
    ):
        torch.testing.assert_close(split.inputs[0:4], plain(slice(*rows)))


def test_domainbeds_validation_images_are_augmented_once_and_no_others() -> None:
    for _ in range(2):
        tensors = load(build(0, id_val=True), (2,), CPU, torch.float32)
        again = load(build(0, id_val=True), (1,), CPU, torch.float32)
        chosen = [split for split in tensors.evaluation if split.role == "id_val"]
        changed = {(s.environment, s.split): s.inputs[0:4] for s in chosen}
        assert list(changed) == [("a", "val"), ("b", "val")]
        amounts = draw(DOMAINBED, 4, 32, 32, stream("augment_id_val", build(0).fingerprint, "b"))
        for i in range(4):
            expected = by_torchvision(plain(slice(32, 36))[i], amounts[i : i + 1])
            torch.testing.assert_close(changed["b", "val"][i], expected, rtol=0, atol=5e-5)
        first = again.evaluation[0]  # the same whatever the test environment is
        assert torch.equal(first.inputs[0:4], changed["a", "val"])
        for split in tensors.evaluation:
            assert (split.role == "id_val") == hasattr(split.inputs, "amounts")


SWEEP = {
    "name": "bright",
    "datasets": [{"name": "Bright", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": [{"name": "adam", "space": {"lr": 1e-3}}],
    "model": {"name": "mlp", "width": 4, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 6, "batch": {"per_environment": 4}, "precision": "float64"},
}


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> DatasetSpec:
    from oodbench.data import DATASETS

    list(DATASETS)  # entry points are read first
    spec = DatasetSpec(
        "Bright", tuple("abc"), 2, build, options={"augment": "domainbed", "id_val": False}
    )
    monkeypatch.setitem(DATASETS._things, "Bright", spec)
    return spec


def test_a_run_alone_and_in_a_stack_is_the_same(bright: DatasetSpec) -> None:
    trials = plan(SWEEP).studies[0].trials
    data = load(build(0), (2,), CPU, torch.float64)
    together = train(trials, data)
    for trial, record in zip(trials, together, strict=True):
        (alone,) = train([trial], data)
        for a, b in zip(alone.measurements, record.measurements, strict=True):
            assert a.value == pytest.approx(b.value, abs=1e-10)


def test_the_loss_is_that_of_the_augmented_images(bright: DatasetSpec) -> None:
    """The first step's, computed again by hand."""
    trial = plan(SWEEP).studies[0].trials[0]
    data = load(build(0), (2,), CPU, torch.float64)
    run = Run([trial], data, CPU)
    indices = run.batches.at(0)
    amounts = draw(DOMAINBED, 8, 32, 32, stream(trial.seed, "augmentation", 0))
    stored = data.inputs[indices.flatten()]
    inputs = torch.cat([augmented(stored[i : i + 1], amounts[i : i + 1]) for i in range(8)])
    with torch.no_grad():
        logits = run.models.predict(inputs)[0]
    labels = data.labels[indices.flatten()]
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(run.step(0)[0], expected)
    without = torch.nn.functional.cross_entropy(run.models.predict(stored)[0], labels)
    assert abs(without - expected) > 1e-4
