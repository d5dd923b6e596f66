"""Adaptive search and confirmation through the database, with scores made by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench import api
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import (
    Database,
    add_sweep,
    claim,
    is_done,
    open_database,
    pairs,
    preview_sweep,
    state_counts,
    store_runs,
    take_study,
)
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.sweep.search import draw
from oodbench.workers.proposing import additions, configurations, extend

Make = Callable[..., dict[str, Any]]
Train = Callable[[Trial], float | None]
TPE = {"sampler": "tpe", "trials": 24, "startup": 8, "cohort": 4, "seed": 3}


def record(trial: Trial, score: float | None) -> RunRecord:
    """A run that scored so on everything; None: it diverged."""
    if score is None:
        return RunRecord(trial, "diverged", "it blew up")
    roles = {"id_val": "val", "id_test": "test", "ood_test": "test", "oracle_val": "val"}
    points = [
        Measurement(trial.steps, "e", split, role, "accuracy", score, 10)
        for role, split in roles.items()
    ]
    return RunRecord(trial, "completed", measurements=tuple(points))


def landscape(trial: Trial) -> float:
    """Best at lr = 0.05."""
    return math.exp(-((math.log10(float(trial.hparams["lr"])) + 1.3) ** 2))


def run(db: Database, sweep: str, score: Train = landscape, size: int = 6) -> int:
    """What one worker does; returns how often it claimed."""
    for turn in range(1000):
        claims = claim(db, "worker", sweep=sweep, size=size, lease=60)
        if claims:
            store_runs(db, [(item, record(item.trial, score(item.trial))) for item in claims])
        elif not extend(db, "worker", sweep, size) and is_done(db, sweep):
            return turn
    raise AssertionError("it never ends")


def add(db: Database, values: dict[str, Any]) -> None:
    planned = plan(parse_sweep(values))
    add_sweep(db, planned.spec.name, {}, planned.studies)


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with open_database(tmp_path / "runs.db", create=True) as database:
        yield database


def test_an_adaptive_search_keeps_its_budget_and_learns(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE, optimizers=["sgd", "adam"]))
    assert state_counts(db)["waiting"] == 48
    run(db, "tiny")
    frame = pairs(db)
    assert frame.groupby("optimizer")["run"].nunique().to_dict() == {"sgd": 24, "adam": 24}
    assert set(frame["sampler"]) == {"random", "tpe"}
    for _, rows in frame.groupby("optimizer"):
        assert rows["config_id"].nunique() == 24
        assert list(rows["sampler"]) == ["random"] * 8 + ["tpe"] * 16
        scores = rows.groupby("sampler")["id_val"].mean()
        assert scores["tpe"] > scores["random"] + 0.1
    space = parse_sweep(tiny(search=TPE)).studies().__next__().space
    first = frame[frame["optimizer"] == "sgd"].head(8)["lr"]
    assert list(first) == [h["lr"] for h in draw(space, 8, seed=3)], "those of the random search"


def test_one_worker_always_finds_the_same(tmp_path: Path, tiny: Make) -> None:
    found = []
    for name in ("a.db", "b.db"):
        with open_database(tmp_path / name, create=True) as database:
            add(database, tiny(search=TPE))
            run(database, "tiny")
            found.append(pairs(database)["run"].tolist())
    assert found[0] == found[1]


def test_a_batch_size_is_searched_too(db: Database, tiny: Make) -> None:
    train = {"epochs": 1, "batch": {"per_environment": {"choice": [8, 16]}}}
    add(db, tiny(search=TPE, optimizers=["sgd"], train=train))
    run(db, "tiny")
    frame = pairs(db)
    assert set(frame["batch"]) == {'{"per_environment":8}', '{"per_environment":16}'}
    assert frame.groupby("batch")["steps"].nunique().tolist() == [1, 1]
    assert frame["config_id"].nunique() == 24


def test_diverged_runs_are_the_worst_and_the_search_turns_away(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE | {"trials": 40}, optimizers=["sgd"]))
    run(db, "tiny", lambda trial: None if float(trial.hparams["lr"]) > 0.05 else 0.5)
    frame = pairs(db)
    diverged = (frame["status"] == "diverged").groupby(frame["sampler"]).mean()
    assert 0 < diverged["tpe"] < diverged["random"]


def test_more_trials_and_more_seeds_are_added_to_what_is_there(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE | {"trials": 12}, optimizers=["sgd"]))
    run(db, "tiny")
    before = set(pairs(db)["run"])
    changed = tiny(search=TPE | {"trials": 21}, seeds=2, optimizers=["sgd"])
    assert preview_sweep(db, plan(parse_sweep(changed)).studies).later_runs == 2 * 21 - 12
    add(db, changed)
    run(db, "tiny")
    frame = pairs(db)
    assert before < set(frame["run"])
    assert frame.groupby("config_id")["seed"].nunique().tolist() == [2] * 21


def test_a_space_of_few_values_ends_early(db: Database, tiny: Make) -> None:
    sgd = {"name": "sgd", "space": {"lr": {"choice": [0.1, 0.2, 0.3]}, "weight_decay": 0.0}}
    confirm = {"top": 1, "seeds": 2}
    search = TPE | {"startup": 2, "trials": 5}
    add(db, tiny(search=search, optimizers=[sgd], confirm=confirm))
    run(db, "tiny")
    assert pairs(db)["sampler"].value_counts()["confirm"] == 2
    assert pairs(db)["config_id"].nunique() == 3


def test_winners_are_trained_again_on_fresh_seeds(db: Database, tiny: Make) -> None:
    values = tiny(optimizers=["sgd", "adam"], search={"trials": 6}, seeds=2)
    add(db, values)
    run(db, "tiny")
    plain = pairs(db)
    add(db, values | {"confirm": {"top": 2, "seeds": 3}})  # asked for later
    assert state_counts(db)["waiting"] == 2 * 2 * 3
    run(db, "tiny")
    frame = pairs(db)
    again = frame[frame["sampler"] == "confirm"]
    assert len(frame) == len(plain) + 12
    means = plain.groupby(["optimizer", "config_id"])["id_val"].mean()
    for optimizer, rows in again.groupby("optimizer"):
        best = means[optimizer].sort_values(ascending=False).index[:2]
        assert set(rows["config_id"]) == set(best)
        assert rows.groupby("config_id")["seed"].nunique().tolist() == [3, 3]
    assert again.groupby("seed")["optimizer"].nunique().tolist() == [2] * 3, "pairs share seeds"
    assert not set(again["seed"]) & set(plain["seed"])
    add(db, values | {"confirm": {"top": 2, "seeds": 3}})  # once more: all is there
    run(db, "tiny")
    assert len(pairs(db)) == len(frame)


def test_on_several_splits_a_configuration_scores_their_mean(db: Database, tiny: Make) -> None:
    """By hand: 0.9 on one split and 0.1 on the other is less than 0.6 on both."""
    values = tiny(optimizers=["sgd"], search={"trials": 3}, data_seeds=2, confirm={"seeds": 2})
    study = plan(parse_sweep(values)).studies[0]
    one, two, three = (float(trial.hparams["lr"]) for trial in study.trials[:3])
    scores = {one: (0.9, 0.1), two: (0.6, 0.6), three: (0.5, 0.5)}
    add(db, values)
    run(db, "tiny", lambda trial: scores[float(trial.hparams["lr"])][trial.data_seed])
    frame = pairs(db)
    again = frame[frame["sampler"] == "confirm"]
    assert len(frame) == 3 * 2 + 2 * 2
    assert set(again["lr"]) == {two}
    assert again.groupby("seed")["data_seed"].apply(sorted).tolist() == [[0, 1], [0, 1]]


def test_an_adaptive_search_is_told_the_mean_over_splits(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE, optimizers=["sgd"], data_seeds=2))
    assert state_counts(db)["waiting"] == 2 * 24
    run(db, "tiny", lambda trial: landscape(trial) + (0.1 if trial.data_seed else -0.3))
    frame = pairs(db)
    assert frame.groupby("data_seed")["lr"].nunique().to_dict() == {0: 24, 1: 24}
    with open_database(db.url.removeprefix("sqlite:///")) as alone:
        add(alone, tiny(name="mean", search=TPE, optimizers=["sgd"]))
        run(alone, "mean", lambda trial: landscape(trial) - 0.1)
        same = pairs(alone, sweep="mean")
    assert list(same["lr"]) == list(frame.loc[frame["data_seed"] == 0, "lr"]), "the same proposals"


def test_splits_are_added_to_an_adaptive_search(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE, optimizers=["sgd"]))
    run(db, "tiny")
    add(db, tiny(search=TPE, optimizers=["sgd"], data_seeds=2))
    assert state_counts(db)["waiting"] == 24
    run(db, "tiny")
    frame = pairs(db)
    assert frame.groupby("lr")["data_seed"].apply(list).tolist() == [[0, 1]] * 24


def test_nothing_is_confirmed_while_something_is_trained(db: Database, tiny: Make) -> None:
    add(db, tiny(optimizers=["sgd"], search={"trials": 3}, confirm={}))
    (first, *rest) = claim(db, "worker", size=3, lease=60)
    store_runs(db, [(item, record(item.trial, 0.5)) for item in rest])
    assert extend(db, "other", "tiny", 10) == 0
    assert not is_done(db, "tiny")
    store_runs(db, [(first, record(first.trial, 0.9))])
    assert extend(db, "other", "tiny", 10) == 5
    assert {item.trial.config_id for item in claim(db, "worker", size=9, lease=60)} == {
        first.trial.config_id
    }


def test_a_configuration_that_diverged_on_one_seed_does_not_win(db: Database, tiny: Make) -> None:
    add(db, tiny(optimizers=["sgd"], search={"trials": 3}, seeds=2, confirm={"seeds": 2}))
    seen: dict[float, int] = {}

    def score(trial: Trial) -> float | None:
        lr = float(trial.hparams["lr"])
        seen[lr] = seen.get(lr, 0) + 1
        return None if lr == worst and seen[lr] == 1 else lr

    study = plan(parse_sweep(tiny(optimizers=["sgd"], search={"trials": 3}))).studies[0]
    *_, second, worst = sorted(float(trial.hparams["lr"]) for trial in study.trials)
    run(db, "tiny", score)
    frame = pairs(db)
    assert set(frame.loc[frame["sampler"] == "confirm", "lr"]) == {second}


def test_what_a_sampler_is_told_is_id_validation_alone(db: Database, tiny: Make) -> None:
    add(db, tiny(search=TPE, optimizers=["sgd"]))
    extend(db, "worker", "tiny", 8)
    claims = claim(db, "worker", size=8, lease=60)
    results = []
    for item in claims:
        scored = record(item.trial, 0.9)
        points = [
            Measurement(m.step, m.environment, m.split, m.role, m.metric, 0.1, m.n)
            if m.role == "id_val"
            else m
            for m in scored.measurements
        ]
        results.append((item, RunRecord(item.trial, "completed", measurements=tuple(points))))
    store_runs(db, results)
    study = take_study(db, "worker", lease=60)
    assert study is not None
    assert [item.outcome.score for item in configurations(study)] == [0.1] * 8
    new, agenda = additions(study)
    assert len(new) == 4
    assert agenda is not None


@pytest.mark.slow
def test_the_whole_of_it_with_real_models(sweep_file: Callable[..., Path], tmp_path: Path) -> None:
    search = {"sampler": "tpe", "trials": 6, "startup": 3, "cohort": 2}
    path = sweep_file(search=search, confirm={"seeds": 2})
    db = tmp_path / "runs.db"
    api.run_sweep(path, db, workers=2)
    frame = api.query(db)
    assert set(frame["status"]) == {"completed"}
    assert frame["sampler"].value_counts()[["confirm"]].tolist() == [2 * 2]
    assert (frame["sampler"] != "confirm").sum() == 2 * 6
    table = api.confirmed(db, "tiny")
    assert table["completed"].tolist() == [2, 2]
    assert len(api.run_sweep(path, db, workers=1)) == 2
    assert len(api.query(db)) == len(frame), "nothing is trained again"
