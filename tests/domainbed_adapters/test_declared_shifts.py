"""The class of shift that a dataset declares is the one that is measured."""

import pytest

import oodbench
from oodbench.data import DATASETS


@pytest.mark.parametrize(("name", "test"), [("ColoredDigits", 2), ("RotatedDigits", 0)])
def test_digits(name, test):
    table = oodbench.shift(name, [test], trials=1, examples=800)
    assert set(table["shift"]) == {DATASETS.get(name).shift}
    assert table["n"].min() > 300


@pytest.mark.parametrize(
    ("name", "test"),
    [("ColoredMNIST", 2), pytest.param("RotatedMNIST", 0, marks=pytest.mark.slow)],
)
def test_mnist(name, test, real_mnist):
    table = oodbench.shift(name, [test], trials=1, examples=1500, options={"size": 14})
    assert set(table["shift"]) == {DATASETS.get(name).shift}
    assert table["n"].min() > 1000
