"""Fixtures that the tests of several packages share."""

import pytest
import torch

from oodbench.data import DATASETS, Dataset
from oodbench.training import Tensors, load

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def colored_digits() -> Dataset:
    return DATASETS.get("ColoredDigits").load({}, 0)


@pytest.fixture(scope="session")
def rotated_digits() -> Dataset:
    return DATASETS.get("RotatedDigits").load({}, 0)


@pytest.fixture(scope="session")
def colored32(colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def colored64(colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), torch.device("cpu"), torch.float64)
