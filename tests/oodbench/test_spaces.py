"""Ranges: what may be written, what is drawn from them."""

from typing import Any

import numpy as np
import pytest

from oodbench.errors import RequestError, UnknownNameError
from oodbench.spaces import Choice, Range, log, one_minus_log, override, parse, uniform
from oodbench.sweep.search import draw

N = 4000
ERROR = 4 * 0.5 / N**0.5
"""Four standard errors of a proportion of one half."""


@pytest.mark.parametrize(
    ("what", "median"),
    [
        (log(1e-4, 1.0), 1e-2),  # the geometric mean
        (uniform(-1.0, 3.0), 1.0),
        (one_minus_log(0.5, 0.99), 1 - (0.5 * 0.01) ** 0.5),  # 1 - it is log-uniform
        (one_minus_log(0.9, 0.9999), 1 - (0.1 * 0.0001) ** 0.5),
    ],
)
def test_draws_lie_in_the_range_and_half_of_them_below_its_known_median(
    what: Range, median: float
) -> None:
    values = np.array([row["x"] for row in draw({"x": what}, N, seed=0)])
    assert what.low <= values.min() < values.max() <= what.high
    assert np.mean(values < median) == pytest.approx(0.5, abs=ERROR)
    quarter = np.mean([what.position(v) < 0.25 for v in values])
    assert quarter == pytest.approx(0.25, abs=ERROR)


@pytest.mark.parametrize("what", [Range(1, 4, "int"), Choice((1, 2, 3, 4))])
def test_whole_numbers_and_choices_are_equally_likely(what: Range | Choice) -> None:
    values = [row["x"] for row in draw({"x": what}, N, seed=0)]
    assert all(type(value) is int for value in values)
    for value in (1, 2, 3, 4):
        assert values.count(value) / N == pytest.approx(0.25, abs=ERROR)


def test_positions_on_each_scale_by_hand() -> None:
    assert log(1e-4, 1.0).position(1e-3) == pytest.approx(0.25)
    assert uniform(0.0, 4.0).position(1.0) == pytest.approx(0.25)
    assert one_minus_log(0.0, 0.99).position(0.9) == pytest.approx(0.5)  # 1, 0.1, 0.01
    assert [Range(1, 5, "int").position(v) for v in (1, 2, 5)] == [0, 0.25, 1]


def test_values_have_six_significant_digits_and_never_leave_the_range() -> None:
    assert log(1e-6, 1e-2).value(1.23456789e-5) == 1.23457e-5
    assert one_minus_log(0.5, 0.99).value(0.123456789) == 0.876543
    assert uniform(0.1234564, 1.0).value(0.1234564) == 0.1234564  # 0.123456 is below


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"log": [1e-4, 1]}, log(1e-4, 1.0)),
        ({"uniform": [0, 0.5]}, uniform(0.0, 0.5)),
        ({"int": [1, 8]}, Range(1, 8, "int")),
        ({"one_minus_log": [0.001, 0.5]}, one_minus_log(0.001, 0.5)),
        ({"choice": [32, 64]}, Choice((32, 64))),
        (0.9, Choice((0.9,))),
        ("adam", Choice(("adam",))),
    ],
)
def test_the_forms_of_a_range_and_back(text: Any, expected: Range | Choice) -> None:
    assert parse(text) == expected
    assert parse(expected.to_yaml()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"log": [1, 1]}, "low < high, but got [1, 1]"),
        ({"log": [5, 1]}, "low < high, but got [5, 1]"),
        ({"log": [0, 1]}, "A log range needs low > 0, but got 0"),
        ({"one_minus_log": [0.5, 1]}, "A one_minus_log range needs high < 1, but got 1"),
        ({"int": [1, 2.5]}, "An int range needs whole ends, got [1, 2.5]"),
        ({"log": [1]}, "log needs two ends, [low, high], but got [1]"),
        ({"log": 1}, "log needs a list, but got 1"),
        ({"log": ["a", 1]}, "two finite numbers, but got 'a'"),
        ({"log": [True, 2]}, "two finite numbers, but got True"),
        ({"uniform": [0, float("inf")]}, "two finite numbers, but got inf"),
        ({"choice": []}, "at least one value, but got []"),
        ({"choice": [1, 1.0]}, "different values, but got [1, 1.0]"),
        ({"choice": [[1], [2]]}, "numbers, strings and booleans, not [1]"),
        ({"choice": [1, float("nan")]}, "A finite number is needed, but got nan"),
        (float("inf"), "A finite number is needed, but got inf"),
        ({"logs": [1, 2]}, "unknown range 'logs'. Did you mean 'log'?"),
        ({"log": [1, 2], "choice": [1]}, "A search range is a value or one of"),
        ([1, 2], "A search range is a value or one of"),
        (None, "A search range is a value or one of"),
    ],
)
def test_what_is_no_range_is_refused_with_what_was_given(text: Any, message: str) -> None:
    with pytest.raises(RequestError) as error:
        parse(text)
    assert message in str(error.value)


def test_override_replaces_what_it_names_and_nothing_else() -> None:
    space = {"lr": log(1e-4, 1.0), "depth": Range(1, 4, "int")}
    changed = override(space, {"lr": {"log": [1, 10]}}, "sgd")
    assert changed == {"lr": log(1.0, 10.0), "depth": Range(1, 4, "int")}
    assert space["lr"] == log(1e-4, 1.0)


def test_a_fixed_value_takes_the_type_of_the_range_so_that_1_and_1_0_are_one_trial() -> None:
    space = {"lr": log(1e-4, 1.0), "depth": Range(1, 4, "int")}
    for one, two in ((1, 2), (1.0, 2.0)):
        changed = override(space, {"lr": one, "depth": two}, "sgd")
        (row,) = draw(changed, 1, seed=0)
        assert [(type(v), v) for v in (row["lr"], row["depth"])] == [(float, 1.0), (int, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 0.9}, "sgd: unknown hyperparameter 'momentum'. Allowed: depth, lr."),
        ({"lr": "high"}, "sgd, lr: A number is needed, but got 'high'."),
        ({"lr": {"choice": [True, 2]}}, "sgd, lr: A number is needed, but got True."),
        ({"depth": 2.5}, "sgd, depth: A whole number is needed, but got 2.5."),
        ({"lr": {"log": [2, 1]}}, "sgd, lr: A range needs low < high, but got [2, 1]."),
    ],
)
def test_override_names_the_owner_and_the_hyperparameter(changes: Any, message: str) -> None:
    with pytest.raises(RequestError) as error:
        override({"lr": log(1e-4, 1.0), "depth": Range(1, 4, "int")}, changes, "sgd")
    assert str(error.value).startswith(message)


def test_an_unknown_scale_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'one_minus_log'"):
        parse({"one_minus": [0.1, 0.5]})
