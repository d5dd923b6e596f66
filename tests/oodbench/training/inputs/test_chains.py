"""RandAugment and AugMix: torchvision's own transforms, given our draws; distributions."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare, ks_2samp
from torch import Tensor
from torchvision.transforms import v2

from oodbench.data import Rows
from oodbench.seeds import stream
from oodbench.training.inputs.augmentation import RECIPES, TrainingImages, augmented, draw
from oodbench.training.inputs.chains import (
    AUGMIX,
    NOTHING,
    RANDAUGMENT,
    Chains,
    Policy,
    changes_of,
    draw_chains,
)
from oodbench.training.inputs.operations import _sent, grids_of, send_through
from oodbench.training.inputs.stored import StoredInputs

THEIRS = {"randaugment": v2.RandAugment(), "augmix": v2.AugMix(all_ops=False)}
OURS = {"randaugment": RANDAUGMENT, "augmix": AUGMIX}
SPACES = {"randaugment": v2.RandAugment._AUGMENTATION_SPACE} | {
    "augmix": v2.AugMix._PARTIAL_AUGMENTATION_SPACE
}
P = 1e-4
"""Below it a test of one distribution against torchvision's fails; draws are seeded."""
BOTH = pytest.mark.parametrize("name", OURS)


def pictures(n: int, height: int = 24, width: int = 32) -> Tensor:
    """Images with smooth, black, white and grey parts."""
    x = torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))
    x[:, :, :4], x[:, :, 4:6], x[:, :, 6:8] = x[:, :1, :4], 0, 1
    return x


@BOTH
def test_the_operations_are_torchvisions(name: str) -> None:
    assert sorted(OURS[name].operations) == sorted(SPACES[name])


@pytest.mark.parametrize("size", [(24, 32), (224, 224), (331, 216)])
@BOTH
def test_magnitudes_are_torchvisions(name: str, size: tuple[int, int]) -> None:
    policy, expected = OURS[name], Counter()
    for operation, (magnitudes, signed) in SPACES[name].items():
        for level in policy.levels:
            values = magnitudes(policy.bins, *size)
            value = 0.0 if values is None else float(values[level])
            expected.update([(operation, value), (operation, -value if signed else value)])
    assert Counter(changes_of(policy, *size)) == expected


@pytest.mark.parametrize("size", [(24, 32), (224, 224), (33, 21)])
@BOTH
def test_each_operation_is_torchvisions(name: str, size: tuple[int, int]) -> None:
    image, transform, policy = pictures(1, *size), THEIRS[name], OURS[name]
    grids = grids_of(policy, *size, torch.float32, image.device)
    for place, change in enumerate(changes_of(policy, *size)):
        expected = transform._apply_image_or_video_transform(
            image, *change, interpolation=transform.interpolation, fill=transform._fill
        )
        found = _sent(policy, grids, np.array([[place]]), image)
        assert torch.equal(found, expected), change
        if change[0] not in ("Identity", "Posterize") and change[1] > 0:
            assert not torch.equal(expected, image), change


class Handed:
    """Stands in for torch's generator: gives torchvision's transforms what was drawn here."""

    def __init__(self, name: str, drawn: Chains, image: int) -> None:
        self._name, policy = name, OURS[name]
        self._keys, self._levels = list(SPACES[name]), len(policy.levels)
        self._policy, self._row = policy, drawn.places[image]
        self._values, self._weights = self._order(), drawn.weights[image]
        self._mixtures = iter((self._image(), self._weights[1:] / self._weights[1:].sum()))

    def _image(self) -> np.ndarray:
        return np.array([self._weights[0], 1 - self._weights[0]])

    def _order(self) -> Iterator[float]:
        for chain in self._row:
            places = [place for place in chain if place != NOTHING]
            if self._policy.mixed:
                yield len(places)
            for place in places:
                operation, rest = divmod(int(place), 2 * self._levels)
                level, negative = divmod(rest, 2)
                own = self._policy.operations[operation]
                yield self._keys.index(own)
                magnitudes, signed = SPACES[self._name][own]
                if magnitudes(self._policy.bins, 24, 32) is not None:
                    if self._policy.mixed:
                        yield level
                    if signed:
                        yield 0.4 if negative else 0.6

    def draw(self, *_: Any, **__: Any) -> Tensor:
        return torch.tensor(next(self._values))

    def dirichlet(self, _: Tensor) -> Tensor:
        return torch.tensor(next(self._mixtures)).float().unsqueeze(0)


@BOTH
def test_an_image_becomes_what_torchvision_makes_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, images = 40, pictures(40)
    drawn = draw_chains(OURS[name], n, stream(0, "x"))
    found = images.clone()
    send_through(OURS[name], drawn, found)
    for i in range(n):
        handed = Handed(name, drawn, i)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", handed.draw)
            patch.setattr(torch, "rand", handed.draw)
            patch.setattr(v2.AugMix, "_sample_dirichlet", lambda _, p, h=handed: h.dirichlet(p))
            expected = THEIRS[name](images[i])
        assert next(handed._values, None) is None, "all draws were used"
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-6)
    assert found.amin() >= 0
    assert found.amax() <= 1 + 1e-6


@BOTH
def test_images_together_become_what_each_does_alone(name: str) -> None:
    """On a GPU those with the same change are changed together."""
    images, policy = pictures(60), OURS[name]
    grids = grids_of(policy, 24, 32, torch.float32, images.device)
    places = draw_chains(policy, 60, stream(1, "x")).places[:, 0]
    alone = [
        _sent(policy, grids, *one) for one in zip(places[:, None], images.split(1), strict=True)
    ]
    together = _sent(policy, grids, places, images)
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-6)


def torchvisions(name: str, n: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """What torchvision draws for n images: changes, numbers of changes, mixtures."""
    changes, lengths, mixtures = Counter(), Counter(), []
    sample = v2.AugMix._sample_dirichlet

    def dirichlet(transform: Any, parameters: Tensor) -> Tensor:
        mixtures.append(sample(transform, parameters))
        return mixtures[-1]

    def note(transform: Any, image: Tensor, operation: str, magnitude: float, **_: Any) -> Tensor:
        changes[operation, magnitude] += 1
        return image + 1

    monkeypatch.setattr(v2.AugMix, "_sample_dirichlet", dirichlet)
    monkeypatch.setattr(type(THEIRS[name]), "_apply_image_or_video_transform", note)
    torch.manual_seed(0)
    for _ in range(n):
        before = sum(changes.values())
        THEIRS[name](torch.zeros(3, 24, 32))
        lengths[sum(changes.values()) - before] += 1
    return changes, lengths, mixtures


def compared(ours: Counter, theirs: Counter) -> float:
    """The p-value of one distribution."""
    keys = sorted({*ours, *theirs})
    table = [[counter[key] for key in keys] for counter in (ours, theirs)]
    return float(chi2_contingency(table).pvalue)


@BOTH
def test_draws_have_torchvisions_distribution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, policy = 3000, OURS[name]
    changes, lengths, mixtures = torchvisions(name, n, monkeypatch)
    drawn, table = draw_chains(policy, n, stream(2, "x")), changes_of(policy, 24, 32)
    found = Counter(table[place] for place in drawn.places[drawn.places != NOTHING])
    assert set(found) == set(changes)
    assert compared(found, changes) > P
    taken = Counter((drawn.places != NOTHING).sum((1, 2)).tolist())
    if name == "randaugment":
        assert taken == lengths == {2: n}
        return
    assert compared(taken, lengths) > P
    images = torch.cat(mixtures[::2])[:, 0].numpy()
    shares = torch.cat(mixtures[1::2]).numpy()
    assert ks_2samp(drawn.weights[:, 0], images).pvalue > P
    chains = drawn.weights[:, 1:] / drawn.weights[:, 1:].sum(1, keepdims=True)
    for chain in range(3):
        assert ks_2samp(chains[:, chain], shares[:, chain]).pvalue > P
    np.testing.assert_allclose(drawn.weights.sum(1), 1, rtol=1e-12)


def test_every_length_of_a_chain_is_as_likely() -> None:
    drawn = draw_chains(AUGMIX, 4000, stream(3, "x"))
    counts = np.unique((drawn.places != NOTHING).sum(2), return_counts=True)[1]
    assert chisquare(counts).pvalue > P


@BOTH
def test_neighbours_know_nothing_of_each_other(name: str) -> None:
    drawn = draw_chains(OURS[name], 4000, stream(4, "x"))
    first = drawn.places[:, 0, 0] // (2 * len(OURS[name].levels))
    table = np.histogram2d(first[:-1], first[1:], bins=len(OURS[name].operations))[0]
    assert chi2_contingency(table).pvalue > P
    second = drawn.places[:, 0, 1] if name == "randaugment" else drawn.places[:, 1, 0]
    table = np.histogram2d(first, second, bins=len(OURS[name].operations))[0]
    assert chi2_contingency(table).pvalue > P


STORED = np.random.default_rng(0).integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)


def images(recipe: str, seeds: tuple[int, ...]) -> TrainingImages:
    inputs = StoredInputs(Rows(STORED, np.arange(24)), torch.float32, torch.device("cpu"))
    return TrainingImages(inputs, RECIPES[recipe], seeds)


@BOTH
def test_a_stack_sees_what_its_models_would_see_alone_at_any_step(name: str) -> None:
    indices = torch.arange(24).view(2, 3, 4)
    together = images(name, (3, 5))
    for step in (0, 9, 4):
        both = together(indices, step).clone()
        for model, seed in enumerate((3, 5)):
            alone = images(name, (seed,))(indices[model : model + 1], step)
            assert torch.equal(both[model : model + 1], alone)
    assert not torch.equal(images(name, (3,))(indices[:1], 5), both[:1])


@BOTH
def test_the_crop_and_the_mirror_are_domainbeds(name: str) -> None:
    """The same ones, even, of the same images of the same trial."""
    indices, policy = torch.arange(24).view(1, 1, 24), OURS[name]
    found = images(name, (3,))(indices, 7)[0, 0]
    generator = stream(3, "augmentation", 7)
    amounts = draw(RECIPES[name], 24, 16, 16, generator)
    usual = draw(RECIPES["domainbed"], 24, 16, 16, stream(3, "augmentation", 7))
    assert np.array_equal(amounts.crop, usual.crop)
    assert np.array_equal(amounts.flip, usual.flip)
    chains = draw_chains(policy, 24, generator)
    for i, image in enumerate(torch.from_numpy(STORED).float() / 255):
        expected = augmented(image.unsqueeze(0), amounts[i : i + 1])
        one = Chains(chains.places[i : i + 1], chains.weights[i : i + 1])
        send_through(policy, one, expected)
        torch.testing.assert_close(found[i], expected[0], rtol=0, atol=1e-6)


def test_without_a_crop_the_whole_image_is_sent_through() -> None:
    assert draw(RECIPES["augmix_uncropped"], 1, 16, 16, stream(0)).crop.tolist() == [[0, 0, 16, 16]]
    assert isinstance(RECIPES["augmix_uncropped"].policy, Policy)
