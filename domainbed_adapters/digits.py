"""ColoredDigits and RotatedDigits: DomainBed's MNIST pair on scikit-learn's 1,797 real digits.

The digits are split into train (60%), validation and test (20% each) once. Training digits are
dealt among all environments, whichever is the test one later (its share is then unused).
Validation and test digits are rendered in every environment, so that ID and OOD accuracy rest on
the same digits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data import Dataset, DatasetSpec, Environment, Split
from oodbench.errors import RequestError
from oodbench.seeds import stream

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Render = Callable[[int, Images, Labels, np.random.Generator], tuple[Images, Labels]]
"""(environment, images (n, 8, 8), digits (n,), generator) -> the inputs and labels as that
environment shows them."""

COLOURS = {"+90%": 0.9, "+80%": 0.8, "-90%": 0.1}
"""Environment -> probability that the colour agrees with the (noisy) label."""
ANGLES = (0, 15, 30, 45, 60, 75)


def load_digits() -> tuple[Images, Labels]:
    """The digits in the file's order: (1797, 8, 8) images of 0 to 255 and (1797,) labels."""
    from sklearn.datasets import load_digits as load

    data = load()
    return np.rint(data.images * 255 / 16).astype(np.uint8), data.target.astype(np.int64)


def build(
    name: str,
    environments: tuple[str, ...],
    classes: int,
    render: Render,
    seed: int,
    renders: int = 1,
    eval_renders: int = 1,
) -> Dataset:
    """Split the digits, deal the training ones, and render each environment.

    Args:
        name: Of the dataset; also names its random streams.
        environments: Their names.
        classes: Size of the label set.
        render: See ``Render``.
        seed: The data seed.
        renders: How often each training digit is rendered.
        eval_renders: How often each validation and test digit is rendered.
    """
    images, digits = load_digits()
    order = stream(seed, name, "split").permutation(len(digits))
    ends = [round(0.6 * len(order)), round(0.8 * len(order))]
    train, val, test = np.split(order, ends)
    shares = [train[i :: len(environments)] for i in range(len(environments))]
    result = []
    for i, environment in enumerate(environments):
        splits = {}
        for part, chosen, copies in (
            ("train", shares[i], renders),
            ("val", val, eval_renders),
            ("test", test, eval_renders),
        ):
            again = np.repeat(chosen, copies)
            generator = stream(seed, name, part, environment)
            inputs, labels = render(i, images[again], digits[again], generator)
            splits[part] = Split(inputs, labels, copies)
        result.append(Environment(environment, splits))
    return Dataset(name, tuple(result), classes)


def build_colored(data_seed: int, renders: int, eval_renders: int, label_noise: float) -> Dataset:
    """DomainBed's ColoredMNIST on the small digits: (2, 8, 8) images, label digit < 5.

    Every rendering draws its own label noise and its own colour: neither can be memorised with the
    digit, and scores do not hang on one draw of the noise.
    """
    for name, value in (("renders", renders), ("eval_renders", eval_renders)):
        if type(value) is not int or value < 1:
            raise RequestError(f"ColoredDigits: {name} must be a whole number >= 1, not {value!r}.")
    if type(label_noise) not in (int, float) or not 0 <= label_noise <= 1:
        raise RequestError(
            f"ColoredDigits: label_noise must be a number between 0 and 1, not {label_noise!r}."
        )
    agreement = list(COLOURS.values())

    def render(
        environment: int, images: Images, digits: Labels, generator: np.random.Generator
    ) -> tuple[Images, Labels]:
        n = len(digits)
        labels = (digits < 5) ^ (generator.random(n) < label_noise)
        colour = labels ^ (generator.random(n) >= agreement[environment])
        inputs = np.stack([images, images], axis=1)
        inputs[np.arange(n), 1 - colour.astype(int)] = 0  # the other channel stays dark
        return inputs, labels.astype(np.int64)

    return build("ColoredDigits", tuple(COLOURS), 2, render, data_seed, renders, eval_renders)


def build_rotated(data_seed: int) -> Dataset:
    """DomainBed's RotatedMNIST on the small digits: (1, 8, 8) images, ten classes."""
    from scipy.ndimage import rotate

    def render(
        environment: int, images: Images, digits: Labels, generator: np.random.Generator
    ) -> tuple[Images, Labels]:
        turned = rotate(
            images.astype(np.float64), ANGLES[environment], axes=(2, 1), reshape=False, order=1
        )
        return np.rint(turned).clip(0, 255).astype(np.uint8)[:, None], digits

    return build("RotatedDigits", tuple(f"{a}°" for a in ANGLES), 10, render, data_seed)


SOURCE: dict[str, Any] = {
    "layout": "Shipped inside scikit-learn's wheel (sklearn.datasets.load_digits); nothing to get.",
    "licence": "BSD-3-Clause (scikit-learn); the digits are UCI's optdigits test set, CC BY 4.0.",
}

REGISTER = [
    DatasetSpec(
        "ColoredDigits",
        tuple(COLOURS),
        2,
        build_colored,
        options={"renders": 8, "eval_renders": 4, "label_noise": 0.25},
        shift="correlation",
        summary="Digit below 5 or not, with 25% label noise; a colour that agrees with the label "
        "in 90%, 80% and 10% of the examples.",
        citation="Arjovsky et al. 2019 (Invariant Risk Minimization), on Alpaydin & Kaynak 1998.",
        **SOURCE,
    ),
    DatasetSpec(
        "RotatedDigits",
        tuple(f"{a}°" for a in ANGLES),
        10,
        build_rotated,
        shift="diversity",
        summary="Ten digits, turned counter-clockwise by 0, 15, ..., 75 degrees.",
        citation="Ghifary et al. 2015 (rotated MNIST), on Alpaydin & Kaynak 1998.",
        **SOURCE,
    ),
]
