"""Accuracies, in whatever chunks they are computed; roles."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from torch import nn

from oodbench.training import evaluation, load
from oodbench.training.stack import Stack
from oodbench.training.tensors import role_of


@pytest.mark.parametrize("chunk", [1, 7, 64, 8192])
def test_accuracy_equals_scikit_learns(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    torch.manual_seed(0)
    modules = [nn.Linear(5, 3) for _ in range(4)]
    x, y = torch.randn(50, 5), torch.randint(3, (50,))
    expected = [accuracy_score(y, m(x).argmax(1).numpy()) for m in modules]
    stack = Stack(modules, torch.device("cpu"), torch.float32)
    assert evaluation.accuracy(stack, x, y, 4) == pytest.approx(expected, abs=1e-12)


def test_roles() -> None:
    assert [role_of(s, False) for s in ("val", "test")] == ["id_val", "id_test"]
    assert [role_of(s, True) for s in ("val", "test")] == ["oracle_val", "ood_test"]


def test_training_examples_are_those_of_the_training_environments(colored_digits) -> None:
    tensors = load(colored_digits, (0, 2), torch.device("cpu"), torch.float32)
    only = colored_digits.environments[1].splits["train"]
    assert tensors.sizes == (len(only),)
    np.testing.assert_array_equal(tensors.labels.numpy(), only.labels)
    assert tensors.inputs.stored.dtype == torch.uint8  # floats only where they are used
    np.testing.assert_allclose(tensors.inputs[:].numpy(), only.inputs / 255, rtol=1e-6)
