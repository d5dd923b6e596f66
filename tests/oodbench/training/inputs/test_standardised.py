"""What a model takes of a table depends on the examples that its trial trains on, and no others."""

import numpy as np
import pytest

from oodbench.data import Dataset, Environment, Published, Rows, Split
from oodbench.data.columns import Columns
from oodbench.training.inputs.columns import standardised

COLUMNS = Columns(("x", "kind"), (0, 2), (False, False))
PARTS = ("train", "val", "test")


def table() -> Dataset:
    """Three environments of thirty rows, each with a mean and a deviation of its own."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(mean, scale, 30) for mean, scale in ((0, 1), (5, 2), (50, 9))])
    values = np.column_stack([x, rng.integers(0, 2, 90)])
    labels = rng.integers(0, 2, 90)
    environments = []
    for i, name in enumerate("abc"):
        rows = {
            part: np.arange(30 * i + 10 * j, 30 * i + 10 * j + 10) for j, part in enumerate(PARTS)
        }
        splits = {part: Split(Rows(values, mine), labels[mine]) for part, mine in rows.items()}
        environments.append(Environment(name, splits))
    return Dataset("t", tuple(environments), 2, content="x", columns=COLUMNS)


@pytest.mark.parametrize(("tested", "trained"), [((2,), (0, 1)), ((0,), (1, 2)), ((0, 1), (2,))])
def test_the_training_examples_of_the_environments_that_are_trained_on(
    tested: tuple[int, ...], trained: tuple[int, ...]
) -> None:
    data = table()
    rows = np.concatenate([data.environments[i].splits["train"].inputs.rows for i in trained])
    values = data.environments[0].splits["train"].inputs.stored[:, 0]
    mean, deviation = values[rows].mean(), values[rows].std()
    done = standardised(data, tested)
    assert (done.columns, done.input_shape) == (None, (3,))
    for given, made in zip(data.environments, done.environments, strict=True):
        for part in PARTS:
            found, mine = made.splits[part], given.splits[part].inputs.rows
            assert found.inputs.dtype == np.float32
            assert found.inputs[:, 0] == pytest.approx((values[mine] - mean) / deviation, abs=1e-5)
            assert found.numbers.tolist() == mine.tolist()
            assert (found.labels == given.splits[part].labels).all()


def test_other_examples_decide_nothing() -> None:
    """Not a test environment's, and not those that a trained environment holds out."""
    data = table()
    before = standardised(data, (2,)).environments[0].splits["test"].inputs
    values = data.environments[0].splits["train"].inputs.stored
    values[60:, 0] *= 100
    values[10:30, 0] += np.arange(20) == 0
    after = standardised(data, (2,)).environments[0].splits["test"].inputs
    assert (before == after).all()


def test_published_splits_go_by_the_training_split() -> None:
    data = table()
    split = data.environments[2].splits["train"]
    published = Published("ood_test", "ood_test", split)
    asked = Dataset(
        "t", data.environments[:2], 2, content="x", columns=COLUMNS, published=(published,)
    )
    found = standardised(asked, ()).published[0].split
    values = split.inputs.stored[:, 0]
    train = np.r_[values[:10], values[30:40]]
    known = (values[60:70] - train.mean()) / train.std()
    assert found.inputs[:, 0] == pytest.approx(known, abs=1e-5)
    assert found.numbers.tolist() == list(range(60, 70))


def test_a_dataset_without_columns_is_itself(colored_digits: Dataset) -> None:
    assert standardised(colored_digits, (2,)) is colored_digits
