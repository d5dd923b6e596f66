from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together
from simulated_spaces import DECAYS, NARROW, OTHER, SIXTH, WIDE, Scenario, searched

from analysis.compare.differences import UNCUT
from analysis.compare.optimizers import compare_kinds
from analysis.compare.ranges import positions
from analysis.compare.spaces import cuts

DECADE, EDGES = "the better decade of lr", "the ranges without their edges"
BEST = "the best part of each space"
N = 8


def even(low: float, high: float, n: int, seed: int = 0) -> Any:
    """The middles of n equal parts, in random order."""
    x = low + (high - low) * (np.arange(n) + 0.5) / n
    return np.random.default_rng(seed).permutation(x)


def test_positions_are_on_the_scale_of_the_draws() -> None:
    """Of 99 evenly spread draws, the ith lies at i/100 of the range."""
    drawn = {"lr": even(-4, 0, 99, 1), "beta": even(1, 3, 99, 2), "other": even(3, 5, 99, 3)}
    values = {"lr": 10 ** drawn["lr"], "beta": 1 - 10 ** -drawn["beta"], "other": drawn["other"]}
    runs = search("adam", np.zeros(99), np.zeros(99), **values, fixed=1.0, choice="text")
    found = positions(runs)
    assert list(found) == ["lr", "beta", "other"]
    for name, x in drawn.items():
        assert found[name].to_numpy() == pytest.approx((x.argsort().argsort() + 1) / 100)


def test_each_optimizer_has_its_own_ranges() -> None:
    a = search("adam", np.zeros(3), np.zeros(3), lr=[0.1, 0.2, 0.3], eps=[1.0, 2.0, 3.0])
    b = search("sgd", np.zeros(3), np.zeros(3), lr=[10.0, 20.0, 30.0])
    found = positions(together(a, b))
    assert found["lr"].tolist() == pytest.approx([0.25, 0.5, 0.75] * 2)
    assert found["eps"].isna().tolist() == [False] * 3 + [True] * 3


def two() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Adam: 160 draws, good where log10(lr) is in (-2, -1) and weight decay above .5. SGD: 160
    draws over less than a decade."""
    x, w = even(-4, 0, 160), even(0, 1, 160, 1)
    good = 0.3 * ((x > -2) & (x < -1)) + 0.2 * (w > 0.5)
    adam = search("adam", 0.4 + good, np.zeros(160), lr=10**x, weight_decay=w)
    lr = 10 ** even(-1.9, -1, 160)
    sgd = search("sgd", np.full(160, 0.5), np.zeros(160), lr=lr)
    return together(adam, sgd), {"x": x, "w": w}


def test_parts_of_a_space_that_are_known() -> None:
    runs, of = two()
    found = cuts(runs, "id_val", N)
    x, w = of["x"], of["w"]
    adam = {name: mask[:160] for name, mask in found.kept.items()}
    halves = ["the better half of lr", "the better half of weight_decay"]
    assert list(adam) == [DECADE, *halves, EDGES, BEST]
    assert (adam[DECADE] == ((x > -2) & (x < -1))).mean() > 0.97  # windows begin at every .1
    assert adam["the better half of lr"].tolist() == (x > -2).tolist()
    assert adam["the better half of weight_decay"].tolist() == (w > 0.5).tolist()
    inner = (np.abs(x + 2) < 1.6) & (np.abs(w - 0.5) < 0.4)
    assert (adam[EDGES] == inner).mean() > 0.97  # the ends of ranges are estimates
    assert adam[BEST].sum() == 4 * N
    best = (x > -2) & (x < -1) & (w > 0.5)
    assert best.sum() == 20
    assert adam[BEST][best].all()


def test_an_optimizer_without_the_range_keeps_its_draws() -> None:
    runs, _ = two()
    found = cuts(runs, "id_val", N)
    assert found.kept[DECADE][160:].all()  # its range is no wider
    assert found.kept["the better half of weight_decay"][160:].all()
    assert found.kept["the better half of lr"][160:].sum() == 80
    assert found.refused == ""


def test_no_test_score_decides() -> None:
    runs, _ = two()
    before = cuts(runs, "id_val", N).kept
    other = {name: np.random.default_rng(0).uniform(size=320) for name in ("id", "ood")}
    after = cuts(runs.assign(**other), "id_val", N).kept
    assert {name: mask.tolist() for name, mask in after.items()} == {
        name: mask.tolist() for name, mask in before.items()
    }


def test_few_draws_make_a_part_larger_or_cut_nothing() -> None:
    """A decade of four has 20 of 80 draws, but 32 have to remain."""
    runs, _ = two()
    few = runs[runs.groupby("optimizer").cumcount() < 80]
    assert cuts(few, "id_val", N).kept[DECADE][:80].sum() == 32
    fewer = runs[runs.groupby("optimizer").cumcount() < 63]
    refused = cuts(fewer, "id_val", N)
    assert refused.kept == {}
    assert refused.refused == "64 draws of each optimizer are needed, but Adam has 63, SGD has 63"
    fixed = search("asgd", np.zeros(9), np.zeros(9))
    assert cuts(together(few, fixed), "id_val", N).refused == ""


def test_a_configuration_stays_whole_and_counts_once() -> None:
    runs, _ = two()
    half = runs[runs.groupby("optimizer").cumcount() < 80]
    again = together(half, half)
    once, twice = (cuts(table, "id_val", N).kept for table in (half, again))
    for name, mask in twice.items():
        assert mask[:160].tolist() == mask[160:].tolist()
        assert mask[:160].sum() == once[name].sum(), name


def test_lost_runs_are_the_worst() -> None:
    """All of the half with the higher scores diverged, but for the worst of it."""
    w = even(0, 1, 100)
    score = 0.4 + 0.4 * w
    runs = search("adam", score, score, weight_decay=w)
    runs.loc[w > 0.51, "status"] = "diverged"
    kept = cuts(runs, "id_val", N).kept["the better half of weight_decay"]
    assert kept.tolist() == (w < 0.5).tolist()


def selected_ood(runs: pd.DataFrame, n: int) -> float:
    """Expected OOD accuracy of the best of n by id_val, without replacement, in plain loops."""
    ood = runs.sort_values("id_val", kind="stable")["ood"].tolist()
    total, left = 0.0, 1.0
    for i in range(len(ood), 0, -1):
        total += left * n / i * ood[i - 1] if n <= i else 0.0
        left *= 1 - n / i
    return total


def mean_differences(scenario: Scenario, trials: int, n: int, panels: int) -> dict[str, float]:
    """Adaptive minus others in the OOD accuracy of the best of n, in points, on average."""
    found: dict[str, list[float]] = {"": []}
    for seed in range(panels):
        runs = searched(scenario, trials, seed)
        kept = {"": np.ones(len(runs), dtype=bool), **cuts(runs, "id_val", n).kept}
        for name, mask in kept.items():
            each = runs[mask].groupby(["optimizer_kind", "optimizer"])
            sides = each.apply(selected_ood, n).groupby("optimizer_kind").mean()
            found.setdefault(name, []).append(sides["adaptive"] - sides["non-adaptive"])
    return {name: 100 * float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize(
    ("adaptive", "exposed"),
    [
        (WIDE, [DECADE]),
        (DECAYS, [BEST]),
        ({**NARROW, **OTHER}, [BEST]),
    ],
)
def test_a_difference_of_the_spaces_is_gone_in_a_part(adaptive: Any, exposed: list[str]) -> None:
    found = mean_differences(Scenario(adaptive, NARROW), 400, N, 10)
    assert found[""] < -0.4
    assert max(found[name] for name in exposed) > 0.4 * found[""]


def test_a_difference_of_the_optimizers_is_in_every_part() -> None:
    found = mean_differences(Scenario({**NARROW, **OTHER}, {**NARROW, **OTHER}, 0.05), 200, N, 6)
    assert len(found) == 8
    assert all(abs(difference + 5) < 0.8 for difference in found.values()), found


@pytest.mark.parametrize(
    ("scenario", "trials", "exception"),
    [
        (Scenario(effect=0.1), 7, UNCUT),
        (Scenario(effect=0.1), 24, ""),
        (Scenario(effect=0.1), 100, ""),
        (Scenario(SIXTH, NARROW), 400, DECADE),
    ],
)
def test_a_verdict_says_where_it_is_lost(scenario: Any, trials: int, exception: str) -> None:
    table = compare_kinds(searched(scenario, trials, 0))
    row = table[table["score"] == "ood"].iloc[0]
    assert row["verdict"] == "lower"
    assert row["not_under"].split(", ")[0] == exception
