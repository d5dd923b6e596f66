"""RandAugment and AugMix: chains of operations, drawn for each image.

torchvision's own transforms draw once for a batch. Here every image has draws of its own, with the
same distributions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
TONES = ("Posterize", "Solarize", "AutoContrast", "Equalize")
COLOURS = ("Brightness", "Color", "Contrast", "Sharpness")
"""Operations by torchvision's names."""
ENDS = {"ShearX": 0.3, "ShearY": 0.3, "Rotate": 30.0, **dict.fromkeys(COLOURS, 0.9)}
"""Largest magnitudes: slopes, degrees, and changes of a factor."""
NOTHING = -1
Change = tuple[str, float]
"""An operation and its magnitude."""


@dataclass(frozen=True)
class Policy:
    """The operations that an image may go through, with equal probability.

    Attributes:
        operations: Names of the operations.
        bins: Magnitudes go from none to the largest in so many steps.
        levels: The steps that are drawn from; the sign is drawn too, where there is one.
        shift: Largest translation, a share of the image.
        bits: That posterizing by the smallest magnitude keeps.
        interpolation: Interpolation of operations that move pixels.
        chains: How many sequences of operations an image goes through, each from the image itself.
        lengths: Fewest and most operations in a chain, each length as likely as another.
        mixed: The result is a mixture of the image and its chains: the weight of the image is
            uniform, and the rest is shared among the chains by uniform weights (Dirichlet, 1).
    """

    operations: tuple[str, ...]
    bins: int
    levels: tuple[int, ...]
    shift: float
    bits: int
    interpolation: str
    chains: int = 1
    lengths: tuple[int, int] = (2, 2)
    mixed: bool = False

    def magnitude(self, name: str, level: int, height: int, width: int) -> float:
        """An operation's magnitude, as torchvision computes it; 0 of one that has none."""
        if name == "Posterize":
            return float(round(self.bits - level / ((self.bins - 1) / 4)))
        start, end = 0.0, ENDS.get(name, 0.0)
        if name == "Solarize":
            start = 1.0
        elif name.startswith("Translate"):
            end = self.shift * (width if name == "TranslateX" else height)
        return float(torch.linspace(start, end, self.bins)[level])


@cache
def changes_of(policy: Policy, height: int, width: int) -> tuple[Change, ...]:
    """All changes of images of this size; each operation has equally many places."""
    return tuple(
        (name, sign * policy.magnitude(name, level, height, width))
        for name in policy.operations
        for level in policy.levels
        for sign in ((1, -1) if name in GEOMETRY + COLOURS else (1, 1))
    )


RANDAUGMENT = Policy(
    ("Identity", *GEOMETRY, *COLOURS, *TONES),
    bins=31,
    levels=(9,),
    shift=150 / 331,
    bits=8,
    interpolation="nearest",
)
"""Two operations at magnitude 9 (Cubuk et al. 2020, arXiv 1909.13719), torchvision's defaults."""
AUGMIX = Policy(
    (*GEOMETRY, *TONES),
    bins=10,
    levels=(0, 1, 2),
    shift=1 / 3,
    bits=4,
    interpolation="bilinear",
    chains=3,
    lengths=(1, 3),
    mixed=True,
)
"""Three chains of one to three operations at severity 3 (Hendrycks et al. 2020, arXiv 1912.02781),
those of the paper: without the colours, which are among the corruptions that it is tested on. That
is torchvision's ``AugMix(all_ops=False)``."""


@dataclass(frozen=True)
class Chains:
    """What n images go through: one row each.

    Attributes:
        places: (n, chains, length) of each change among ``changes_of``; or ``NOTHING``.
        weights: (n, 1 + chains) of the image itself and of each chain.
    """

    places: NDArray[np.int64]
    weights: NDArray[np.float64]


def draw_chains(policy: Policy, n: int, generator: np.random.Generator) -> Chains:
    """Draw what ``n`` images go through."""
    shortest, longest = policy.lengths
    shape = n, policy.chains, longest
    many = 2 * len(policy.levels) * len(policy.operations)
    places = generator.integers(many, size=shape)
    lengths = generator.integers(shortest, longest + 1, size=(n, policy.chains, 1))
    places[np.arange(longest) >= lengths] = NOTHING
    weights = np.tile([0.0, 1.0], (n, 1))
    if policy.mixed:
        parts = -np.log1p(-generator.random((n, policy.chains)))  # exponentials: Dirichlet
        image = generator.random((n, 1))
        weights = np.hstack([image, (1 - image) * parts / parts.sum(1, keepdims=True)])
    return Chains(places, weights)


def joined_chains(parts: Sequence[Chains]) -> Chains:
    """The chains of all images, one part after the other."""
    return Chains(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )
