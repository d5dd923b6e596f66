"""Designs drawn in advance: what a configuration depends on, and what it does not."""

import hashlib
from collections import Counter
from itertools import product

import pytest

from oodbench.errors import RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.seeds import seed_of, stream
from oodbench.spaces import Choice, Range, log, one_minus_log, uniform
from oodbench.sweep.search import draw, grid, sobol

SPACE = {"lr": log(1e-4, 1.0), "momentum": one_minus_log(0.5, 0.99)}


def test_more_trials_change_none() -> None:
    assert draw(SPACE, 20, seed=3)[:10] == draw(SPACE, 10, seed=3)


def test_another_hyperparameter_changes_no_other() -> None:
    more = draw({"eps": log(1e-8, 1e-3), **SPACE}, 10, seed=3)
    assert [{k: v for k, v in row.items() if k != "eps"} for row in more] == draw(SPACE, 10, seed=3)


def test_optimizers_that_share_a_range_share_its_values() -> None:
    adam, rmsprop = (OPTIMIZERS.get(name).space for name in ("adam", "rmsprop"))
    assert adam["lr"] == rmsprop["lr"]
    ours, theirs = draw(adam, 10, seed=0), draw(rmsprop, 10, seed=0)
    assert [row["lr"] for row in ours] == [row["lr"] for row in theirs]


def test_seeds_and_names_give_different_draws() -> None:
    def values(seed: int) -> list[object]:
        return [
            row[name] for row in draw({"a": log(1, 2), "b": log(1, 2)}, 10, seed) for name in row
        ]

    assert len(set(values(0)) | set(values(1))) == 40


def test_a_seed_is_the_hash_of_its_names() -> None:
    """The same in every process, on every machine; whoever changes this changes every run."""
    digest = hashlib.sha256(b'[0, "init"]').digest()
    assert seed_of(0, "init") == int.from_bytes(digest[:8], "big") // 2 == 3953688860265627247
    assert seed_of(0, "init") != seed_of("0", "init")
    assert stream(0, "init").random() == stream(0, "init").random() != stream(1, "init").random()


JOINT = {
    "lr": log(1e-4, 1.0),
    "momentum": one_minus_log(0.5, 0.99),
    "decay": uniform(-1.0, 1.0),
}


@pytest.mark.parametrize("n", [8, 64])
def test_sobol_points_fall_one_into_each_of_n_equal_parts_of_every_range(n: int) -> None:
    """The defining property of a (0, m, s)-net in base 2 for its one-dimensional projections."""
    points = sobol(JOINT, n, seed=3)
    for name, what in JOINT.items():
        assert sorted(int(what.position(p[name]) * n) for p in points) == list(range(n))
    assert points == sobol(JOINT, 2 * n, seed=3)[:n]
    assert points != sobol(JOINT, n, seed=4)


def test_sobol_shares_choices_and_whole_numbers_equally() -> None:
    space = {"batch": Choice((32, 64)), "layers": Range(1, 4, "int")}
    points = sobol(space, 16, seed=0)
    for name, share in (("batch", 8), ("layers", 4)):
        assert set(Counter(point[name] for point in points).values()) == {share}


def test_sobol_needs_a_power_of_two() -> None:
    with pytest.raises(RequestError, match="power of two trials, but got 24"):
        sobol(JOINT, 24, seed=0)


def test_a_grid_is_every_combination_with_both_ends() -> None:
    space = {
        "lr": log(1e-2, 1.0),
        "beta": one_minus_log(0.9, 0.999),
        "depth": Range(1, 2, "int"),
        "name": Choice(("a",)),
    }
    points = grid(space, 3)
    expected = product([0.01, 0.1, 1.0], [0.9, 0.99, 0.999], [1, 2])
    got = [(p["lr"], p["beta"], p["depth"]) for p in points]
    assert sorted(got) == sorted(expected)
    assert {p["name"] for p in points} == {"a"}
    with pytest.raises(RequestError, match="The grid has 1,000,000 points"):
        grid({str(i): uniform(0, 1) for i in range(6)}, 10)
