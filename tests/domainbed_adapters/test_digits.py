"""The digits datasets are what they say, counted in the examples themselves."""

import numpy as np
import pytest

from domainbed_adapters import digits
from oodbench.data import DATASETS
from oodbench.errors import RequestError, UnknownNameError

COLOUR_AGREES = {"+90%": 0.9, "+80%": 0.8, "-90%": 0.1}


def colour_of(split) -> np.ndarray:
    """Which channel is lit: 0 or 1. A digit is never all dark, so one of them is."""
    lit = split.inputs.reshape(len(split), 2, -1).any(axis=2)
    assert (lit.sum(axis=1) == 1).all()
    return lit[:, 1].astype(int)


def shapes(split) -> np.ndarray:
    """The digit without its colour."""
    return split.inputs.max(axis=1).reshape(len(split), -1)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_colour_agrees_with_the_label_as_often_as_the_name_says(colored_digits, part) -> None:
    for environment in colored_digits.environments:
        split = environment.splits[part]
        rate = (colour_of(split) == split.labels).mean()
        expected = COLOUR_AGREES[environment.name]
        error = np.sqrt(expected * (1 - expected) / len(split))
        assert rate == pytest.approx(expected, abs=4 * error)


def test_a_quarter_of_the_labels_is_flipped(colored_digits) -> None:
    images, labels = digits.load_digits()
    by_shape = {image.tobytes(): digit for image, digit in zip(images, labels, strict=True)}
    wrong, total = 0, 0
    for environment in colored_digits.environments:
        for split in environment.splits.values():
            truth = np.array([by_shape[s.tobytes()] < 5 for s in shapes(split)])
            wrong, total = wrong + (truth != split.labels).sum(), total + len(split)
    assert wrong / total == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / total))


def test_training_digits_are_dealt_and_the_others_are_shown_to_all(colored_digits) -> None:
    seen = [
        {part: {s.tobytes() for s in shapes(split)} for part, split in e.splits.items()}
        for e in colored_digits.environments
    ]
    for part in ("val", "test"):
        assert seen[0][part] == seen[1][part] == seen[2][part]
    trains = [s["train"] for s in seen]
    assert sum(map(len, trains)) == len(set.union(*trains))  # disjoint
    parts = [set.union(*trains), seen[0]["val"], seen[0]["test"]]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1797


def test_renderings_of_one_digit_differ_in_noise_and_colour(colored_digits) -> None:
    split = colored_digits.environments[0].splits["train"]
    labels, colours = split.labels.reshape(-1, 8), colour_of(split).reshape(-1, 8)
    assert (shapes(split).reshape(-1, 8, 64) == shapes(split)[::8, None]).all()
    assert (labels.std(axis=1) > 0).mean() > 0.8  # 1 - .75^8 - .25^8 = .90
    assert (colours.std(axis=1) > 0).mean() > 0.8
    assert split.copies == 8


def test_an_example_has_one_number_wherever_it_is_shown(colored_digits, rotated_digits) -> None:
    images, labels = digits.load_digits()
    assert colored_digits.source == rotated_digits.source
    for environment in colored_digits.environments:
        for split in environment.splits.values():
            assert (shapes(split) == images[split.examples].reshape(len(split), -1)).all()
    for environment in rotated_digits.environments:
        for split in environment.splits.values():
            assert (split.labels == labels[split.examples]).all()
    upright = rotated_digits.environments[0].splits["test"]
    assert (upright.inputs[:, 0] == images[upright.examples]).all()


def test_rotation_is_counter_clockwise_and_by_the_angle_named(rotated_digits) -> None:
    assert [e.name for e in rotated_digits.environments] == [f"{a}°" for a in range(0, 90, 15)]
    upright, *turned = (e.splits["test"] for e in rotated_digits.environments)
    images, labels = digits.load_digits()
    known = {i.tobytes(): d for i, d in zip(images, labels, strict=True)}
    assert all(
        known[x.tobytes()] == y for x, y in zip(upright.inputs[:, 0], upright.labels, strict=True)
    )

    # The centre of mass, as an angle around the middle of the image, moves with the rotation.
    rows, columns = np.mgrid[0:8, 0:8] - 3.5
    for step, split in enumerate(turned, start=1):
        assert (split.labels == upright.labels).all()
        moved = []
        for before, after in zip(upright.inputs[:, 0] / 255, split.inputs[:, 0] / 255, strict=True):
            a, b = ((image * (columns - 1j * rows)).sum() for image in (before, after))
            if abs(a) > 15:  # far enough from the middle to have a direction
                moved.append(np.angle(b / a, deg=True))
        assert len(moved) > 20
        assert np.median(moved) == pytest.approx(15 * step, abs=2)


@pytest.mark.parametrize("name", ["ColoredDigits", "RotatedDigits"])
def test_data_depend_on_name_options_and_data_seed_alone(name) -> None:
    spec = DATASETS.get(name)
    first = spec.load({}, 0)
    np.random.seed(123)  # whatever the global generator does
    assert spec.load({}, 0).fingerprint == first.fingerprint
    assert spec.load({}, 1).fingerprint != first.fingerprint


def test_options() -> None:
    spec = DATASETS.get("ColoredDigits")
    few = spec.load({"renders": 1, "eval_renders": 2}, 0).environments[0].splits
    assert len(few["train"]) == 360
    assert (len(few["val"]), few["val"].copies) == (2 * 360, 2)
    clean = spec.load({"label_noise": 0}, 0).environments[2].splits["test"]
    assert (colour_of(clean) == clean.labels).mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    "options", [{"renders": 0}, {"renders": 2.0}, {"eval_renders": True}, {"label_noise": 1.5}]
)
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(RequestError, match=next(iter(options))):
        DATASETS.get("ColoredDigits").load(options, 0)
    with pytest.raises(UnknownNameError, match="render"):
        DATASETS.get("ColoredDigits").load({"render": 3}, 0)


@pytest.mark.parametrize("indices", [(), (3,), (-1,), (0, 0), (0, 1, 2)])
def test_test_environments_are_checked(indices) -> None:
    with pytest.raises(RequestError, match="0 = "):
        DATASETS.get("ColoredDigits").check_test_environments(indices)
