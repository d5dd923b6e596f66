"""Searches that stop when decided, through the database, with scores made by hand."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oodbench import api
from oodbench.errors import RequestError, SweepError
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import (
    Database,
    add_sweep,
    cancel,
    check_divisible,
    claim,
    is_done,
    open_database,
    pairs,
    state_counts,
    store_runs,
)
from oodbench.results.sweeps.rounds import take_group
from oodbench.results.sweeps.stopping import Stopping
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.verbs.live.feed import Feed
from oodbench.workers.proposing import extend

Make = Callable[..., dict[str, Any]]
Score = Callable[[Trial], float]
STOP = {"stop": "decided", "margin": 0.02, "most": 64, "budget": 4, "seed": 3}
LOOKS = (16, 20, 25, 31, 38, 47, 58, 64)


def draw_of(trial: Trial) -> float:
    """A number that all optimizers share, from 0 to .1."""
    return float(np.random.default_rng(trial.seed).uniform(0, 0.1))


def apart(trial: Trial) -> float:
    """SGD is 30 points lower."""
    return 0.6 + draw_of(trial) - 0.3 * (trial.optimizer == "sgd")


def alike(trial: Trial) -> float:
    return 0.6 + draw_of(trial)


def noisy(trial: Trial) -> float:
    """So much noise of each run that nothing is decided."""
    return float(np.random.default_rng(int(trial.id, 16)).uniform(0, 1))


def record(trial: Trial, score: float) -> RunRecord:
    roles = {"id_val": "val", "id_test": "test", "ood_test": "test"}
    points = [
        Measurement(trial.steps, "e", split, role, "accuracy", score, 100)
        for role, split in roles.items()
    ]
    return RunRecord(trial, "completed", measurements=tuple(points))


def run(db: Database, score: Score, worker: str = "worker", size: int = 5) -> None:
    """What one worker does."""
    for _ in range(10_000):
        claims = claim(db, worker, sweep="tiny", size=size, lease=60)
        if claims:
            store_runs(db, [(item, record(item.trial, score(item.trial))) for item in claims])
        elif not extend(db, worker, "tiny", size) and is_done(db, "tiny"):
            return
    raise AssertionError("it never ends")


def add(db: Database, values: dict[str, Any]) -> None:
    planned = plan(parse_sweep(values))
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    add_sweep(db, planned.spec.name, spec, planned.studies)


def draws(db: Database) -> dict[str, int]:
    found: dict[str, int] = pairs(db).groupby("optimizer")["seed"].nunique().to_dict()
    return found


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with open_database(tmp_path / "runs.db", create=True) as database:
        yield database


def test_looks_are_fixed_in_advance_and_a_higher_most_only_adds_some() -> None:
    asked = Stopping(("sgd", "adam"), 0.02, 64, 4)
    assert asked.looks == LOOKS
    assert Stopping(("sgd", "adam"), 0.02, 200, 4).looks[:7] == LOOKS[:7]
    assert Stopping(("sgd", "adam"), 0.02, 16, 4).looks == (16,)
    assert Stopping(tuple("abc"), 0.02, 16, 4, groups=2).level == pytest.approx(0.05 / 6)


def test_a_clear_difference_stops_the_search_of_all_optimizers_at_one_look(
    db: Database, tiny: Make
) -> None:
    add(db, tiny(search=STOP))
    assert state_counts(db)["waiting"] == 128  # at most
    run(db, apart)
    found = draws(db)
    assert found["sgd"] == found["adam"] < 64
    assert found["sgd"] in LOOKS
    (row,) = api.decisions(db.url).to_dict("records")
    assert (row["a"], row["b"], row["outcome"], row["next"]) == ("sgd", "adam", "lower", 0)
    assert row["difference"] == pytest.approx(-0.3, abs=0.03)
    assert row["looked"] == row["draws"] == found["sgd"]


def test_draws_are_those_of_a_search_of_as_many_trials(db: Database, tiny: Make) -> None:
    add(db, tiny(search=STOP))
    run(db, apart)
    fixed = plan(tiny(search={"sampler": "random", "trials": draws(db)["sgd"], "seed": 3}))
    expected = {trial.id for study in fixed.studies for trial in study.trials}
    assert set(pairs(db)["run"]) == expected


def test_equal_optimizers_are_no_different_and_noise_is_undecided(
    tmp_path: Path, tiny: Make
) -> None:
    for name, score, outcome, most in (
        ("alike", alike, "no difference", 16),
        ("noisy", noisy, "undecided", 64),
    ):
        with open_database(tmp_path / f"{name}.db", create=True) as db:
            add(db, tiny(search=STOP))
            run(db, score)
            assert draws(db) == {"sgd": most, "adam": most}
            (row,) = api.decisions(db.url).to_dict("records")
            assert row["outcome"] == outcome
            assert row["next"] == 0
            assert (row["projected"] > 64) == (outcome == "undecided")


def test_a_higher_most_goes_on_where_the_search_ended(db: Database, tiny: Make) -> None:
    add(db, tiny(search={**STOP, "most": 25}))
    run(db, noisy)
    before = set(pairs(db)["run"])
    assert draws(db) == {"sgd": 25, "adam": 25}
    add(db, tiny(search=STOP))
    assert not is_done(db)
    run(db, noisy)
    assert draws(db) == {"sgd": 64, "adam": 64}
    assert before < set(pairs(db)["run"])


def test_what_was_cancelled_is_drawn_when_the_sweep_is_asked_for_again(
    db: Database, tiny: Make
) -> None:
    add(db, tiny(search=STOP))
    claims = claim(db, "worker", sweep="tiny", size=3, lease=60)
    store_runs(db, [(item, record(item.trial, noisy(item.trial))) for item in claims])
    cancel(db, "tiny")
    assert is_done(db)
    assert list(api.decisions(db.url)["draws"]) == [0]
    add(db, tiny(search=STOP))
    run(db, noisy)
    assert draws(db) == {"sgd": 64, "adam": 64}


def test_only_one_of_several_workers_adds_a_round(db: Database, tiny: Make) -> None:
    add(db, tiny(search=STOP, optimizers=["sgd", "momentum", "adam"]))
    assert take_group(db, "early", lease=60) is None  # the first round is not trained
    claims = claim(db, "worker", sweep="tiny", size=48, lease=60)
    store_runs(db, [(item, record(item.trial, noisy(item.trial))) for item in claims])
    held = take_group(db, "first", lease=60)
    assert held is not None
    assert len(held) == 3
    assert take_group(db, "second", lease=60) is None


@pytest.mark.slow
def test_several_workers_draw_as_one_does(tmp_path: Path, tiny: Make) -> None:
    found = []
    for workers in (1, 3):
        path = tmp_path / f"{workers}.db"
        with open_database(path, create=True) as db:
            add(db, tiny(search=STOP, optimizers=["sgd", "momentum", "adam"]))

            def one(number: int, path: Path = path) -> None:
                with open_database(path) as mine:
                    run(mine, noisy, f"worker {number}", 2 + number)

            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(one, range(workers)))
            assert state_counts(db)["completed"] == 3 * 64
            found.append(set(pairs(db)["run"]))
    assert found[0] == found[1]


def test_shards_are_refused_for_they_do_not_see_each_other(tiny: Make) -> None:
    with pytest.raises(RequestError, match="shards do not see"):
        check_divisible(plan(tiny(search=STOP)).studies)


@pytest.mark.slow
def test_what_is_decided_to_be_lower_is_dropped_if_asked(tmp_path: Path, tiny: Make) -> None:
    def score(trial: Trial) -> float:
        return noisy(trial) if trial.optimizer != "sgd" else 0.001

    optimizers = ["sgd", "momentum", "adam"]
    for drop in (False, True):
        with open_database(tmp_path / f"{drop}.db", create=True) as db:
            add(db, tiny(search={**STOP, "drop": drop}, optimizers=optimizers))
            run(db, score)
            found = draws(db)
            assert found["momentum"] == found["adam"] == 64
            assert (found["sgd"] < 64) == drop
            table = api.decisions(db.url).set_index(["a", "b"])
            assert (table.loc["sgd", "outcome"] == "lower").any()
            assert table.loc[("momentum", "adam"), "outcome"] == "undecided"


def test_each_dataset_and_algorithm_stops_for_itself(db: Database, tiny: Make) -> None:
    irm = {"name": "irm", "space": {"penalty_weight": 10.0, "anneal_fraction": 0.5}}
    add(db, tiny(search=STOP, algorithms=["erm", irm]))
    run(db, lambda trial: apart(trial) if trial.algorithm == "erm" else noisy(trial))
    found = pairs(db).groupby("algorithm")["seed"].nunique()
    assert found["erm"] < found["irm"] == 64
    assert set(api.decisions(db.url)["algorithm"]) == {"erm", "irm"}


def test_lost_runs_count_as_draws_that_were_spent(db: Database, tiny: Make) -> None:
    add(db, tiny(search=STOP))

    def lose(trial: Trial) -> RunRecord:
        if trial.optimizer == "adam" and draw_of(trial) > 0.05:
            return RunRecord(trial, "diverged", "it blew up")
        return record(trial, alike(trial))

    for _ in range(100):
        claims = claim(db, "worker", sweep="tiny", size=16, lease=60)
        if not claims and not extend(db, "worker", "tiny", 16):
            break
        store_runs(db, [(item, lose(item.trial)) for item in claims])
    (row,) = api.decisions(db.url).to_dict("records")
    assert row["looked"] >= 16
    assert math.isfinite(row["difference"])
    assert row["difference"] > 0


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"among": ["sgd", "foo"]}, "unknown optimizer of this sweep 'foo'"),
        ({"among": ["sgd"]}, "at least one"),
        ({"among": ["sgd", "sgd"]}, "twice: sgd, sgd"),
        ({"margin": 0.0}, "more than 0"),
        ({"margin": 2.0}, "less than 1"),
        ({"most": 15}, "the first look is at 16 draws, 4 searches of 4, but most is 15"),
        ({"trials": 8}, "no trials"),
        ({"sampler": "tpe"}, "sampler random, but got tpe"),
        ({"stop": None, "trials": 8}, "margin goes with stop: decided"),
        ({"margin": None}, "needs most .* and margin"),
    ],
)
def test_what_does_not_hold_is_refused(tiny: Make, search: dict[str, Any], message: str) -> None:
    values = {key: v for key, v in {**STOP, **search}.items() if v is not None}
    with pytest.raises(SweepError, match=message):
        parse_sweep(tiny(search=values))


def test_status_the_dry_run_and_the_dashboard_show_how_far_statements_are(
    db: Database, tiny: Make, sweep_file: Callable[..., Path], oodbench: Callable[..., Any]
) -> None:
    add(db, tiny(search=STOP))
    before = oodbench("status", "--db", db.url).out
    assert "0 of 1 decided" in before
    assert "sgd better than adam" in before
    assert "first look at 16" in before
    run(db, apart)
    after = oodbench("status", "--db", db.url).out
    assert "1 of 1 decided" in after
    assert "does not hold: lower" in after
    (row,) = Feed(db.url).since("")["statements"]
    assert (row["statement"], row["outcome"]) == ("sgd better than adam", "does not hold: lower")
    ahead = oodbench("sweep", sweep_file(search=STOP), "--dry-run").out
    assert "Looks at 16, 20, 25, 31, 38, 47, 58, 64 draws" in ahead
    assert "32 models at least, 128 at most" in ahead


def test_the_figure_shows_each_look(db: Database, tiny: Make, tmp_path: Path) -> None:
    add(db, tiny(search=STOP))
    with pytest.raises(RequestError, match="has been looked at"):
        api.plot("decided", db.url, tmp_path / "none.png")
    run(db, noisy)
    axes = api.plot("decided", db.url).axes[0]
    line = next(line for line in axes.lines if line.get_gid() == "sgd-adam")
    assert list(line.get_xdata()) == list(LOOKS)
    final = 100 * api.decisions(db.url)["difference"].iloc[0]
    assert line.get_ydata()[-1] == pytest.approx(final)
