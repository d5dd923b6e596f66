"""Duplicates among examples that were made to have some."""

import numpy as np
import pytest

from analysis import duplicates
from oodbench.errors import RequestError


def test_duplicates_of_known_number_are_found() -> None:
    rng = np.random.default_rng(0)
    trained, tested = rng.normal(size=(500, 3, 8)), rng.normal(size=(100, 3, 8))
    tested[:7] = trained[100:107]
    tested[7:12] = trained[200:205] + 1e-4 * rng.normal(size=(5, 3, 8))
    labels, others = np.zeros(500, int), np.zeros(100, int)
    others[:2] = 1
    found = duplicates(trained, labels, tested, others)
    assert (found.n, found.trained, found.compared) == (100, 500, 100)
    assert (found.same, found.of_other_label) == (7, 2)
    assert found.near == 12
    assert found.closest < 0.9


def test_inputs_of_other_shapes_are_refused() -> None:
    with pytest.raises(RequestError, match="as a model takes them"):
        duplicates(np.ones((3, 2)), [0] * 3, np.ones((3, 4)), [0] * 3)
