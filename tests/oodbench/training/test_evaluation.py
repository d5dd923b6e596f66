"""Accuracies, in whatever chunks they are computed; roles."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from torch import nn

from oodbench.data import Dataset, Environment, Rows, Split
from oodbench.training import evaluation, load
from oodbench.training.inputs.tensors import role_of
from oodbench.training.stack import Stack


@pytest.mark.parametrize("chunk", [1, 7, 64, 8192])
def test_accuracy_equals_scikit_learns(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    torch.manual_seed(0)
    modules = [nn.Linear(5, 3) for _ in range(4)]
    x, y = torch.randn(50, 5), torch.randint(3, (50,))
    expected = [accuracy_score(y, m(x).argmax(1).numpy()) for m in modules]
    stack = Stack(modules, torch.device("cpu"), "float32")
    assert evaluation.accuracy(stack, x, y, 4) == pytest.approx(expected, abs=1e-12)


def test_roles() -> None:
    assert [role_of(s, False) for s in ("val", "test")] == ["id_val", "id_test"]
    assert [role_of(s, True) for s in ("val", "test")] == ["oracle_val", "ood_test"]


@pytest.mark.parametrize(("few", "dtype"), [(0, torch.uint8), (2**30, torch.float32)])
def test_training_examples_are_those_of_the_training_environments(
    colored_digits, monkeypatch: pytest.MonkeyPatch, few: int, dtype: torch.dtype
) -> None:
    """Kept as bytes where they are many: floats only where they are used."""
    monkeypatch.setattr("oodbench.training.inputs.stored.FEW", few)
    tensors = load(colored_digits, (0, 2), torch.device("cpu"), torch.float32)
    only = colored_digits.environments[1].splits["train"]
    assert tensors.sizes == (len(only),)
    np.testing.assert_array_equal(tensors.labels.numpy(), only.labels)
    assert tensors.inputs.stored.dtype == dtype
    np.testing.assert_allclose(tensors.inputs[:].numpy(), only.inputs / 255, rtol=1e-6)


@pytest.fixture
def mapped() -> tuple[Dataset, np.ndarray]:
    """Two environments of five rows each of one array, and that array."""
    stored = np.arange(10 * 4, dtype=np.uint8).reshape(10, 4)
    environments = []
    for i, name in enumerate("ab"):
        parts = np.split(np.random.default_rng(i).permutation(5) + 5 * i, [2, 3])
        splits = {
            part: Split(Rows(stored, rows), rows % 3)
            for part, rows in zip(("train", "val", "test"), parts, strict=True)
        }
        environments.append(Environment(name, splits))
    return Dataset("mapped", tuple(environments), 3, content="digest"), stored


def test_examples_mapped_from_a_file_are_read_where_they_are_indexed(mapped) -> None:
    dataset, stored = mapped
    tensors = load(dataset, (1,), torch.device("cpu"), torch.float64)
    rows = dataset.environments[0].splits["train"].inputs.rows
    assert tensors.shape == (4,)
    assert tensors.inputs.shape == (2, 4)
    assert tensors.inputs.rows.stored is stored  # not a copy
    which = torch.tensor([[[1, 0, 1]]])
    np.testing.assert_allclose(tensors.inputs[which].numpy(), stored[rows[which]] / 255)
    both = load(dataset, (), torch.device("cpu"), torch.float64)
    assert both.sizes == (2, 2)
    rows = [*rows, *dataset.environments[1].splits["train"].inputs.rows]
    np.testing.assert_allclose(both.inputs[0:4].numpy(), stored[rows] / 255)


def test_a_test_environment_of_its_own_examples_is_tested_on_all_but_its_validation(mapped) -> None:
    dataset, stored = mapped
    tensors = load(dataset, (1,), torch.device("cpu"), torch.float64)
    found = {(s.environment, s.split): (s.role, s.n) for s in tensors.evaluation}
    assert found == {
        ("a", "val"): ("id_val", 1),
        ("a", "test"): ("id_test", 2),
        ("b", "val"): ("oracle_val", 1),
        ("b", "train+test"): ("ood_test", 4),
    }
    (whole,) = [s for s in tensors.evaluation if s.role == "ood_test"]
    splits = dataset.environments[1].splits
    rows = [*splits["train"].inputs.rows, *splits["test"].inputs.rows]
    np.testing.assert_allclose(whole.inputs[:].numpy(), stored[rows] / 255)
    np.testing.assert_array_equal(whole.labels.numpy(), np.array(rows) % 3)


def test_the_fingerprint_of_mapped_examples_is_that_of_their_content_and_choice(mapped) -> None:
    dataset, _ = mapped
    a, b = dataset.environments
    same = Dataset("mapped", (a, b), 3, content="digest")
    other = Dataset("mapped", (a, b), 3, content="another")
    chosen = Dataset("mapped", (a, a), 3, content="digest")
    assert dataset.fingerprint == same.fingerprint
    assert len({dataset.fingerprint, other.fingerprint, chosen.fingerprint}) == 3


@pytest.mark.parametrize("stored", [False, True])
def test_the_answer_is_among_the_classes_that_a_target_has(stored: bool) -> None:
    """Of five classes the target has three; 1 and 2 are one there, and count as 1."""
    rng = np.random.default_rng(0)
    counts_as = np.array([-1, 1, 1, 3, -1])
    x, y = rng.normal(size=(60, 4)).astype(np.float32), rng.choice([1, 3], 60)
    inputs = Rows(x, np.arange(60)) if stored else x
    trained = Environment("id", {"train": Split(x, y), "val": Split(x, y), "test": Split(x, y)})
    target = Environment("some", {"test": Split(inputs, y)}, "ood_test", counts_as)
    dataset = Dataset("Some", (trained, target), 5, content="x")
    modules = [nn.Linear(4, 5) for _ in range(3)]
    logits = [module(torch.from_numpy(x)).detach().numpy() for module in modules]
    splits = load(dataset, (), torch.device("cpu"), torch.float32).evaluation
    stack = Stack(modules, torch.device("cpu"), "float32")
    found = evaluation.evaluate(stack, splits, 3, 1, 5)
    for model in range(3):
        best = [max((1, 2, 3), key=row.__getitem__) for row in logits[model]]
        expected = np.array([1 if k == 2 else k for k in best])
        np.testing.assert_array_equal(found.predicted[-1][model].numpy(), expected)
        scores = {score.environment: score.value for score in found.scores[model]}
        assert scores["some"] == pytest.approx((expected == y).mean())
        assert scores["id"] == pytest.approx((logits[model].argmax(1) == y).mean())
        assert scores["some"] != scores["id"]
    whole = replace(target, counts_as=None)
    assert replace(dataset, environments=(trained, whole)).fingerprint != dataset.fingerprint
