"""Batches are a function of the seed and the step, drawn with replacement."""

import numpy as np
import pytest
import torch

from oodbench.training.inputs.batches import BLOCK, Batches

SIZES = (10, 1000, 200)
STARTS = (0, 10, 1010)
CPU = torch.device("cpu")


def draw(batch, seeds=(0,), steps=2 * BLOCK) -> np.ndarray:
    batches = Batches(SIZES, batch, seeds, CPU)
    return torch.stack([batches.at(step) for step in range(steps)]).numpy()


def environment_of(indices: np.ndarray) -> np.ndarray:
    return np.searchsorted(STARTS, indices, side="right") - 1


def test_per_environment_takes_as_many_from_each() -> None:
    drawn = draw({"per_environment": 16})
    assert drawn.shape == (2 * BLOCK, 1, 3, 16)
    assert (environment_of(drawn) == np.arange(3)[:, None]).all()
    assert (np.unique(drawn[:, :, 0]) == np.arange(10)).all()  # 16 of 10: with replacement


def test_group_sampling_takes_different_environments_each_step() -> None:
    drawn = draw({"size": 8, "environments": 2})
    assert drawn.shape == (2 * BLOCK, 1, 2, 4)
    groups = environment_of(drawn)
    assert (groups == groups[..., :1]).all()
    assert (groups[..., 0, 0] != groups[..., 1, 0]).all()
    share = np.bincount(groups[..., 0].ravel()) / groups[..., 0].size
    assert share == pytest.approx([1 / 3] * 3, abs=0.1)  # about 3.4 standard errors


def test_pooled_batches_follow_the_sizes() -> None:
    drawn = draw({"size": 64})
    assert drawn.shape == (2 * BLOCK, 1, 1, 64)
    share = np.bincount(environment_of(drawn).ravel(), minlength=3) / drawn.size
    assert share == pytest.approx(np.array(SIZES) / sum(SIZES), abs=0.02)


@pytest.mark.parametrize(
    "batch", [{"per_environment": 4}, {"size": 4}, {"size": 4, "environments": 2}]
)
def test_any_step_in_any_order_and_company(batch) -> None:
    forwards = draw(batch, seeds=(3, 5, 3))
    alone = Batches(SIZES, batch, (5,), CPU)
    for step in (BLOCK + 1, 0, 2 * BLOCK - 1):
        assert (alone.at(step)[0].numpy() == forwards[step, 1]).all()
    assert (forwards[:, 0] == forwards[:, 2]).all()
    assert (forwards[:, 0] != forwards[:, 1]).any()
    assert (forwards[:BLOCK] != forwards[BLOCK:]).any()  # blocks differ
