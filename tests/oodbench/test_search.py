"""Random search, materialised: what a configuration depends on, and what it does not."""

import hashlib

from oodbench.optimizers import OPTIMIZERS
from oodbench.search import at_edge, draw
from oodbench.seeds import seed_of, stream
from oodbench.spaces import log, one_minus_log

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


def test_the_edge_is_the_outer_five_percent_on_the_ranges_own_scale() -> None:
    space = {"lr": {"log": [1e-4, 1.0]}, "batch_size": {"choice": [8, 16]}, "eps": 1e-8}

    def edges(lr: float) -> list[str]:
        return at_edge(space, {"lr": lr, "batch_size": 8, "eps": 1e-8, "other": 3})

    inside, outside = (
        [10 ** (-4 * u) for u in (0.06, 0.5, 0.94)],
        [10 ** (-4 * u) for u in (0.04, 0.96)],
    )
    assert [edges(lr) for lr in inside] == [[], [], []]
    assert [len(edges(lr)) for lr in outside] == [1, 1]
    assert edges(0.98) == ["lr = 0.98 in [0.0001, 1]"]


def test_a_seed_is_the_hash_of_its_names() -> None:
    """The same in every process, on every machine; whoever changes this changes every run."""
    digest = hashlib.sha256(b'[0, "init"]').digest()
    assert seed_of(0, "init") == int.from_bytes(digest[:8], "big") // 2 == 3953688860265627247
    assert seed_of(0, "init") != seed_of("0", "init")
    assert stream(0, "init").random() == stream(0, "init").random() != stream(1, "init").random()
