"""How our own environments are made of independent digits, whatever the digits' source.

The digits are split into train (60%), validation and test (20% each) once. Training digits are
dealt among all environments, whichever is the test one later (its share is then unused).
Validation and test digits are rendered in every environment, so that ID and OOD accuracy rest on
the same digits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data import Dataset, Environment, Split
from oodbench.errors import RequestError
from oodbench.seeds import stream

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]
Render = Callable[[int, Indices, np.random.Generator], tuple[Images, Labels]]
"""(environment, which digits (n,), generator) -> the inputs and labels as that environment shows
them."""

COLOURED: dict[str, Any] = {
    "shift": "correlation",
    "summary": "Digit below 5 or not, with 25% label noise; a colour that agrees with the label "
    "in 90%, 80% and 10% of the examples.",
}
ROTATED: dict[str, Any] = {
    "shift": "diversity",
    "summary": "Ten digits, turned counter-clockwise by 0, 15, ..., 75 degrees.",
}
"""What is known of both datasets of a kind, the small one's and MNIST's."""
COLOURS = {"+90%": 0.9, "+80%": 0.8, "-90%": 0.1}
"""Environment -> probability that the colour agrees with the (noisy) label."""
ANGLES = (0, 15, 30, 45, 60, 75)
"""Degrees, counter-clockwise."""


def deal(
    name: str,
    source: str,
    environments: tuple[str, ...],
    classes: int,
    count: int,
    render: Render,
    seed: int,
    renders: int = 1,
    eval_renders: int = 1,
) -> Dataset:
    """Split the digits, deal the training ones, and render each environment.

    Args:
        name: Name of the dataset; also names its random streams.
        source: Source of the digits.
        environments: Names of the environments.
        classes: Size of the label set.
        count: How many digits there are.
        render: See ``Render``.
        seed: The data seed.
        renders: How often each training digit is rendered.
        eval_renders: How often each validation and test digit is rendered.
    """
    order = stream(seed, name, "split").permutation(count)
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
            generator = stream(seed, name, part, environment)
            shown = np.repeat(chosen, copies)
            inputs, labels = render(i, shown, generator)
            splits[part] = Split(inputs, labels, copies, shown)
        result.append(Environment(environment, splits))
    return Dataset(name, tuple(result), classes, shared=True, source=source)


def colour(
    images: Images,
    digits: Labels,
    agreement: float,
    label_noise: float,
    generator: np.random.Generator,
) -> tuple[Images, Labels]:
    """Arjovsky et al.'s colours: is the digit below 5?, with noise, and a colour that predicts it.

    Args:
        images: (n, height, width).
        digits: (n,) 0 to 9.
        agreement: Probability that the colour agrees with the noisy label.
        label_noise: Probability that a label is flipped.
        generator: Generator of the noise and the colours.

    Returns:
        (n, 2, height, width) images, lit in the colour's channel alone, and (n,) noisy labels.
    """
    n = len(digits)
    labels = (digits < 5) ^ (generator.random(n) < label_noise)
    colours = labels ^ (generator.random(n) >= agreement)
    return paint(images, colours), labels.astype(np.int64)


def deal_colours(
    name: str,
    source: str,
    images: Images,
    digits: Labels,
    label_noise: float,
    seed: int,
    **renders: int,
) -> Dataset:
    """Arjovsky et al.'s environments, ``COLOURS``, of digits: see ``deal`` and ``colour``."""
    agreement = list(COLOURS.values())

    def render(
        environment: int, which: Indices, generator: np.random.Generator
    ) -> tuple[Images, Labels]:
        return colour(images[which], digits[which], agreement[environment], label_noise, generator)

    return deal(name, source, tuple(COLOURS), 2, len(digits), render, seed, **renders)


def paint(images: Images, colours: NDArray[np.bool_]) -> Images:
    """(n, 2, height, width): each of the (n, height, width) images in channel 0 or 1."""
    inputs = np.zeros((len(images), 2, *images.shape[1:]), np.uint8)
    inputs[np.arange(len(images)), colours.astype(int)] = images
    return inputs


def check_noise(name: str, label_noise: object) -> None:
    """Raise RequestError unless ``label_noise`` is a probability."""
    if type(label_noise) not in (int, float) or not 0 <= label_noise <= 1:  # type: ignore[operator]
        raise RequestError(
            f"{name}: label_noise must be a number between 0 and 1, not {label_noise!r}."
        )
