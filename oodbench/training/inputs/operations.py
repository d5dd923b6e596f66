"""Images sent through chains of operations, each of which is torchvision's, bit for bit.

On a CPU images go one by one. Elsewhere it is launches that cost: all images take a step of all of
their chains together. torchvision's functions get those with the same change at once; those that
are moved are moved at once whatever the change, each by a grid of its own.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from oodbench.training.inputs.chains import GEOMETRY, Chains, Change, Policy, changes_of
from oodbench.training.inputs.stored import upload

UNCHANGED, MOVED = ("Identity", 0.0), ("", 0.0)
Places = NDArray[np.int64]
"""(n,) of changes among ``changes_of``; or ``NOTHING``."""


def send_through(policy: Policy, drawn: Chains, images: Tensor) -> None:
    """Put in the place of each image, (n, 3, height, width) floats in [0, 1], what comes of it."""
    alone = images.device.type == "cpu"
    grids = grids_of(policy, *images.shape[-2:], images.dtype, images.device)
    sent = partial(_sent, policy, grids)
    size = 1 if alone else max(1, len(images))
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        given, places = images[rows], drawn.places[rows].swapaxes(0, 1)
        if alone:
            ends = [sent(chain, given) for chain in places]
        else:
            copies = given.repeat(policy.chains, 1, 1, 1)
            ends = list(sent(np.concatenate(places), copies).chunk(policy.chains))
        if policy.mixed:
            ends = [_mixture([given, *ends], drawn.weights[rows])]
        images[rows] = ends[0]


def _mixture(parts: list[Tensor], weights: NDArray[np.float64]) -> Tensor:
    """The sum of ``parts``, each (n, 3, height, width), by (n, parts) weights."""
    shares = upload(torch.from_numpy(weights).to(parts[0].dtype), parts[0].device)
    result, *others = (
        part * share.view(-1, 1, 1, 1) for part, share in zip(parts, shares.unbind(1), strict=True)
    )
    for other in others:
        result = result + other
    return result


def _sent(policy: Policy, grids: Tensor, places: Places, images: Tensor) -> Tensor:
    """Each image at the end of one chain; ``places`` are (n, length)."""
    changes = changes_of(policy, *images.shape[-2:])
    first = [name in GEOMETRY for name, _ in changes].index(True)  # which has the first grid
    for column in places.T:
        which = [changes[place] if place >= 0 else UNCHANGED for place in column]
        keys = [MOVED if moves(*change) else change for change in which]
        images = _changed(keys, column - first, grids, policy.interpolation, images)
    return images


def _changed(
    keys: list[Change], places: Places, grids: Tensor, interpolation: str, images: Tensor
) -> Tensor:
    """Each image after its change; ``places`` are those of the grids of what is moved."""

    def changed(key: Change, images: Tensor, places: Tensor | Places) -> Tensor:
        if key == MOVED:
            return grid_sample(images, grids[places], interpolation, align_corners=False)
        return apply(images, *key)

    if len(set(keys)) == 1:
        return changed(keys[0], images, places)
    sorted_ = sorted(range(len(keys)), key=keys.__getitem__)
    table = np.stack([sorted_, np.argsort(sorted_), places[sorted_]])
    order, back, placed = upload(torch.from_numpy(table), images.device)
    sizes = [len(list(group)) for _, group in groupby(sorted_, keys.__getitem__)]
    parts: list[Any] = [torch.split(of, sizes) for of in (images.index_select(0, order), placed)]
    return torch.cat(list(map(changed, sorted(set(keys)), *parts))).index_select(0, back)


def moves(name: str, magnitude: float) -> bool:
    """Whether a change moves pixels. torchvision turns nothing by an angle of 0."""
    return name in GEOMETRY and (name, abs(magnitude)) != ("Rotate", 0.0)


@cache
def grids_of(
    policy: Policy, height: int, width: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """(n, height, width, 2): where pixels come from, of each change in ``GEOMETRY``.

    They are as ``grid_sample`` takes them.
    """
    x, y = (torch.arange(size, dtype=dtype) - (size - 1) / 2 for size in (width, height))
    own = torch.cartesian_prod(y, x, torch.ones(1, dtype=dtype))[:, [1, 0, 2]].unsqueeze(0)
    half = torch.tensor([width / 2, height / 2], dtype=dtype)
    found = []
    for name, magnitude in changes_of(policy, height, width):
        if name not in GEOMETRY:
            continue
        source = torch.tensor(_source(name, magnitude, height, width), dtype=dtype)
        found.append(own.bmm((source.T / half).unsqueeze(0)))
    return torch.cat(found).view(-1, height, width, 2).to(device)


def _source(name: str, magnitude: float, height: int, width: int) -> list[list[float]]:
    """The (2, 3) matrix from x, y and 1 to the x and y where a pixel comes from.

    Both are from the middle of the image, in pixels.
    """
    cos, sin = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
    sources: dict[str, list[list[float]]] = {
        "ShearX": [[1, magnitude, magnitude * height / 2], [0, 1, 0]],
        "ShearY": [[1, 0, 0], [magnitude, 1, magnitude * width / 2]],
        "TranslateX": [[1, 0, -int(magnitude)], [0, 1, 0]],
        "TranslateY": [[1, 0, 0], [0, 1, -int(magnitude)]],
        "Rotate": [[cos, -sin, 0], [sin, cos, 0]],
    }
    return sources[name]


def apply(images: Tensor, name: str, magnitude: float) -> Tensor:
    """A change that leaves pixels in their places, by torchvision's function."""
    from torchvision.transforms.v2 import functional as v2

    operations: dict[str, Callable[[], Tensor]] = {
        "Brightness": lambda: v2.adjust_brightness(images, 1 + magnitude),
        "Color": lambda: v2.adjust_saturation(images, 1 + magnitude),
        "Contrast": lambda: v2.adjust_contrast(images, 1 + magnitude),
        "Sharpness": lambda: v2.adjust_sharpness(images, 1 + magnitude),
        "Posterize": lambda: v2.posterize(images, int(magnitude)),
        "Solarize": lambda: v2.solarize(images, magnitude),
        "AutoContrast": lambda: v2.autocontrast(images),
        "Equalize": lambda: v2.equalize(images),
    }
    return operations[name]() if name in operations else images
