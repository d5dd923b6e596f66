"""All images at once are, bit for bit, what they are group by group."""

import numpy as np
import pytest
import torch

from oodbench.seeds import stream
from oodbench.training.inputs.amounts import Amounts, joined
from oodbench.training.inputs.at_once import augment_at_once
from oodbench.training.inputs.augmentation import RECIPES, augment, draw
from oodbench.training.inputs.stored import Inputs

PLAIN = [name for name, recipe in RECIPES.items() if recipe.policy is None]
STORED = torch.from_numpy(
    np.random.default_rng(1).integers(0, 256, (50, 3, 24, 20), dtype=np.uint8)
)


def both(amounts: Amounts, rows: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
    images, found = Inputs(STORED, dtype), []
    for way in (augment, augment_at_once):
        found.append(torch.full((len(rows), *images.shape[1:]), torch.nan, dtype=dtype))
        way(images.__getitem__, amounts, found[-1], rows)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 3, 96])
@pytest.mark.parametrize("name", PLAIN)
def test_every_recipe(name: str, n: int, dtype: torch.dtype) -> None:
    generator = stream("test", name, n)
    amounts = joined([draw(RECIPES[name], n, 24, 20, generator) for _ in range(2)])
    rows = torch.from_numpy(generator.integers(0, len(STORED), 2 * n))
    one, other = both(amounts, rows, dtype)
    assert torch.equal(one, other)
    assert one.isfinite().all()


@pytest.mark.parametrize("place", range(4))
def test_where_hue_is_at_one_place_in_all(place: int) -> None:
    """As in a batch of which no image has another change before it, or after."""
    amounts = draw(RECIPES["domainbed"], 400, 24, 20, stream("test"))
    chosen = amounts[np.flatnonzero(amounts.order[:, place] == 3)]
    assert len(chosen) > 50
    one, other = both(chosen, torch.arange(len(chosen)) % len(STORED), torch.float32)
    assert torch.equal(one, other)
