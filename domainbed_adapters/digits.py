"""ColoredDigits and RotatedDigits: DomainBed's MNIST pair on scikit-learn's 1,797 real digits.

How they are split and dealt: see ``domainbed_adapters.dealing``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from domainbed_adapters import dealing
from domainbed_adapters.dealing import ANGLES, COLOURS, Images, Indices, Labels
from oodbench.data import Dataset, DatasetSpec
from oodbench.errors import RequestError

EXAMPLES = "digits"
"""The source of both datasets' examples: their numbers are rows of scikit-learn's file."""
MOST_RENDERS = 1000
"""Maximum renders of one digit; with so many, all take half a gigabyte."""


def load_digits() -> tuple[Images, Labels]:
    """The digits in the file's order: (1797, 8, 8) images of 0 to 255 and (1797,) labels."""
    from sklearn.datasets import load_digits as load

    data = load()
    return np.rint(data.images * 255 / 16).astype(np.uint8), data.target.astype(np.int64)


def check_colored(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options of ColoredDigits are what they must be."""
    for name in ("renders", "eval_renders"):
        value = options[name]
        if type(value) is not int or not 1 <= value <= MOST_RENDERS:
            raise RequestError(
                f"ColoredDigits: {name} must be a whole number from 1 to {MOST_RENDERS}, not "
                f"{value!r}."
            )
    dealing.check_noise("ColoredDigits", options["label_noise"])


def build_colored(data_seed: int, renders: int, eval_renders: int, label_noise: float) -> Dataset:
    """DomainBed's ColoredMNIST on the small digits: (2, 8, 8) images, label digit < 5.

    Every rendering draws its own label noise and its own colour: neither can be memorised with the
    digit, and scores do not depend on one draw of the noise.
    """
    counts = {"renders": renders, "eval_renders": eval_renders}
    images, digits = load_digits()
    return dealing.deal_colours(
        "ColoredDigits", EXAMPLES, images, digits, label_noise, data_seed, **counts
    )


def build_rotated(data_seed: int) -> Dataset:
    """DomainBed's RotatedMNIST on the small digits: (1, 8, 8) images, ten classes."""
    from scipy.ndimage import rotate

    images, digits = load_digits()

    def render(
        environment: int, which: Indices, generator: np.random.Generator
    ) -> tuple[Images, Labels]:
        floats = images[which].astype(np.float64)
        turned = rotate(floats, ANGLES[environment], axes=(2, 1), reshape=False, order=1)
        return np.rint(turned).clip(0, 255).astype(np.uint8)[:, None], digits[which]

    names = tuple(f"{angle}°" for angle in ANGLES)
    return dealing.deal("RotatedDigits", EXAMPLES, names, 10, len(digits), render, data_seed)


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
        check=check_colored,
        citation="Arjovsky et al. 2019 (Invariant Risk Minimization), on Alpaydin & Kaynak 1998.",
        **dealing.COLOURED,
        **SOURCE,
    ),
    DatasetSpec(
        "RotatedDigits",
        tuple(f"{a}°" for a in ANGLES),
        10,
        build_rotated,
        citation="Ghifary et al. 2015 (rotated MNIST), on Alpaydin & Kaynak 1998.",
        **dealing.ROTATED,
        **SOURCE,
    ),
]
