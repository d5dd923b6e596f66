"""Weights of sampling: what a hand-worked table of probabilities says, for every kind of batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_helpers import CPU, make_trials, parameters, run_together

from oodbench.training.inputs.balancing import Strata
from oodbench.training.inputs.batches import Batches

# Environment 0 has the labels 0 0 0 1, environment 1 has 1 0: six examples.
LABELS, SIZES = torch.tensor([0, 0, 0, 1, 1, 0]), (4, 2)
PROBABILITIES = {  # in twelfths, or twenty-fourths
    "none": np.array([2, 2, 2, 2, 2, 2]) / 12,
    "classes": np.array([3, 3, 3, 6, 6, 3]) / 24,  # class 0 has 4 examples, class 1 has 2
    "environments": np.array([3, 3, 3, 3, 6, 6]) / 24,
    "environments+classes": np.array([1, 1, 1, 3, 3, 3]) / 12,  # four pairs of 1/4
}
GRID = (np.arange(12) + 0.5) / 12


def exact(balance: str, pooled: bool, pool: int) -> np.ndarray:
    """Each example's probability: over a grid that every number of strata and examples divides."""
    stratum, u = np.meshgrid(GRID, GRID)
    found = Strata(LABELS.numpy(), SIZES, balance, pooled).at(pool, stratum, u)
    return np.bincount(found.ravel(), minlength=6) / found.size


@pytest.mark.parametrize("balance", list(PROBABILITIES)[1:])
def test_pooled_probabilities_are_one_over_the_number_of_the_kind(balance: str) -> None:
    assert exact(balance, True, 0) == pytest.approx(PROBABILITIES[balance])


def test_within_an_environment_its_classes_are_equally_likely() -> None:
    assert exact("classes", False, 0) == pytest.approx(np.array([1, 1, 1, 3, 0, 0]) / 6)
    assert exact("classes", False, 1) == pytest.approx(np.array([0, 0, 0, 0, 1, 1]) / 2)


def test_the_expected_loss_is_the_weighted_one() -> None:
    losses = np.array([1.0, 2, 3, 10, 20, 6])  # class means (1 + 2 + 3 + 6) / 4 = 3 and 15
    assert exact("classes", True, 0) @ losses == pytest.approx((3 + 15) / 2)
    cross_entropy = torch.nn.functional.cross_entropy
    logits = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1 / 4, 1 / 2], dtype=torch.float64)
    each = cross_entropy(logits, LABELS, reduction="none").numpy()
    weighted = cross_entropy(logits, LABELS, weight=weights).item()
    assert exact("classes", True, 0) @ each == pytest.approx(weighted)


def test_wilds_uniform_over_groups() -> None:
    wilds = pytest.importorskip("wilds.common.utils", reason="wilds is not installed")
    groups = torch.tensor([0, 0, 0, 0, 1, 1])
    counts = wilds.get_counts(groups, 2)
    weights = (1 / counts)[groups]  # as wilds.common.data_loaders.get_train_loader
    assert exact("environments", True, 0) == pytest.approx((weights / weights.sum()).numpy())


@pytest.mark.parametrize("balance", list(PROBABILITIES))
def test_batches_have_these_shares(balance: str) -> None:
    batches = Batches(SIZES, {"size": 64}, (0,), CPU, LABELS, balance)
    drawn = torch.stack([batches.at(step) for step in range(128)])
    assert drawn.shape == (128, 1, 1, 64)
    share = np.bincount(drawn.flatten(), minlength=6) / drawn.numel()
    assert share == pytest.approx(PROBABILITIES[balance], abs=0.02)  # over 4 standard errors


@pytest.mark.parametrize("batch", [{"per_environment": 64}, {"size": 64, "environments": 1}])
def test_batches_by_environment_balance_its_classes(batch) -> None:
    batches = Batches(SIZES, batch, (0,), CPU, LABELS, "classes")
    drawn = torch.stack([batches.at(step) for step in range(128)]).numpy()
    if "per_environment" in batch:
        assert ((drawn >= 4) == np.array([[False], [True]])).all()
    else:  # one environment a step
        assert ((drawn >= 4) == (drawn[..., :1] >= 4)).all()
    first = drawn[drawn < 4]
    assert np.bincount(first) / len(first) == pytest.approx(np.array([1, 1, 1, 3]) / 6, abs=0.02)


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
def test_a_stack_equals_alone(colored64, algorithm: str) -> None:
    trials = make_trials(6, algorithm, hparams={"lr": 0.01}, balance="classes", steps=20)
    stack = run_together(trials, colored64)
    for model, trial in enumerate(trials):
        alone = run_together([trial], colored64, stacked=False)
        torch.testing.assert_close(
            parameters(stack, model), parameters(alone, 0), rtol=1e-8, atol=1e-10
        )
    plain = run_together([replace(trials[0], balance="none")], colored64, stacked=False)
    assert not torch.allclose(parameters(stack, 0), parameters(plain, 0))
