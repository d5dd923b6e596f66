"""Numbers are standardised as by hand, categories have columns, gaps are marked."""

import numpy as np
import pytest

from oodbench.data import columns
from oodbench.data.columns import FARTHEST, Columns, Standardised

NAN = np.nan
MIXED = Columns(("age", "colour", "weight"), (0, 3, 0), (True, True, False))


def test_a_table_that_was_worked_by_hand() -> None:
    """Ages 1, 3 have mean 2 and deviation 1; weights 10, 10, 40 mean 20, deviation sqrt(200)."""
    train = np.array([[1, 0, 10], [3, 1, 10], [NAN, NAN, 40]])
    unseen = np.array([[5, 2, 20], [NAN, 1, 0]])  # nothing was trained on colour 2
    fitted = Standardised.of(MIXED, [train[:1], train[1:]])
    s = 200**-0.5
    assert MIXED.sizes == (2, 4, 1)
    assert fitted(train).tolist() == [
        pytest.approx([-1, 0, 1, 0, 0, 0, -10 * s]),
        pytest.approx([1, 0, 0, 1, 0, 0, -10 * s]),
        pytest.approx([0, 1, 0, 0, 0, 1, 20 * s]),
    ]
    assert fitted(unseen).tolist() == [
        pytest.approx([3, 0, 0, 0, 0, 0, 0]),
        pytest.approx([0, 1, 0, 1, 0, 0, -20 * s]),
    ]


def test_what_is_constant_in_training_is_nowhere_seen() -> None:
    """A number, a category that all have, a gap that none has."""
    train = np.array([[0.1, 2, 7], [0.1, 2, 8], [0.1, 2, 9]])
    unseen = np.array([[5, 2, 8], [NAN, NAN, 8]])
    fitted = Standardised.of(MIXED, [train])
    assert fitted.varies.tolist() == [False] * 6 + [True]
    assert not fitted(train)[:, :6].any()
    assert not fitted(unseen).any()


def test_a_column_without_a_value_in_training_is_zero_with_its_mark() -> None:
    train = np.array([[NAN, 0, 1], [NAN, 1, 2]])
    found = Standardised.of(MIXED, [train])(np.array([[3, 0, 1.5]]))
    assert found.tolist() == [[0, 0, 1, 0, 0, 0, 0]]


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1.0, 1e9, 1e300])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_any_scale_gives_the_same(scale: float, offset: float) -> None:
    values = np.random.default_rng(0).normal(offset, 1, (1000, 1))
    known = (values - values.mean()) / values.std()
    plain = Columns(("x",), (0,), (False,))
    assert Standardised.of(plain, [values * scale])(values * scale) == pytest.approx(
        known, abs=1e-6
    )


def test_what_is_far_away_stays_finite() -> None:
    plain = Columns(("x",), (0,), (False,))
    far = Standardised.of(plain, [np.array([[0.0], [1e-300]])])(np.array([[1e308], [-1e308]]))
    assert far.tolist() == [[FARTHEST], [-FARTHEST]]


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    table = np.column_stack([rng.normal(size=100), rng.integers(0, 3, 100), rng.normal(size=100)])
    table[::7, :2] = NAN
    whole = Standardised.of(MIXED, [table])(table)
    monkeypatch.setattr(columns, "ROWS", 9)
    assert Standardised.of(MIXED, [table[:50], table[50:]])(table) == pytest.approx(whole, abs=1e-6)
