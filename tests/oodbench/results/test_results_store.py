"""Adding sweeps, storing runs, reading them back."""

import math
from dataclasses import replace

import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench.errors import DatabaseError, QueryError
from oodbench.records import Measurement, RunRecord
from oodbench.results import (
    AddedSweep,
    Database,
    add_sweep,
    claim,
    load_run,
    open_database,
    preview_sweep,
    release,
    runs,
    sql,
    state_counts,
    store_runs,
)
from oodbench.results.query import checkpoints
from oodbench.results.store import summarise
from oodbench.results.sweeps.plans import in_turn


def finish(db: Database, *points: tuple[int, str, str, float, int], **more: object) -> RunRecord:
    (item,) = claim(db, "worker", size=1, lease=60)
    record = make_record(item.trial, *points, **more)
    assert store_runs(db, [(item, record)]) == []
    return record


def test_adding_twice_changes_nothing(db: Database) -> None:
    plan = [make_study([make_trial(i) for i in range(4)])]
    assert preview_sweep(None, plan) == AddedSweep(1, 4, 4, 0, 0)
    assert preview_sweep(db, plan) == AddedSweep(1, 4, 4, 0, 0)
    assert add_sweep(db, "sweep", {"a": 1}, plan) == AddedSweep(1, 4, 4, 0, 0)
    finish(db, (100, "e0", "id_val", 0.5, 10))
    before = runs(db)
    assert preview_sweep(db, plan) == AddedSweep(1, 4, 0, 4, 1)
    assert add_sweep(db, "sweep", {"a": 1}, plan) == AddedSweep(1, 4, 0, 4, 1)
    assert runs(db).equals(before)
    assert len(sql(db, "SELECT * FROM study_trials")) == 4


def test_studies_with_the_same_data_take_turns() -> None:
    one = [make_trial(i) for i in range(3)]
    other = [make_trial(i, optimizer="sgd") for i in range(2)]
    elsewhere = [make_trial(i, test_environments=(1,)) for i in range(2)]
    plan = [make_study(one, "a"), make_study(elsewhere, "b"), make_study([*other, one[0]], "c")]
    expected = [one[0], other[0], one[1], other[1], one[2], *elsewhere]
    assert list(in_turn(plan).values()) == expected


def test_an_edited_sweep_adds_and_removes_nothing(db: Database) -> None:
    trials = [make_trial(i) for i in range(6)]
    add_sweep(db, "sweep", {"v": 1}, [make_study(trials[:2], "a"), make_study(trials[2:3], "b")])
    edited = [make_study([*trials[:2], trials[4], trials[0]], "a"), make_study(trials[5:], "c")]
    assert add_sweep(db, "sweep", {"v": 2}, edited) == AddedSweep(2, 4, 2, 2, 0)
    waiting = list(runs(db, sweep="sweep")["run"])
    assert waiting == [trials[i].id for i in (0, 2, 1, 5, 4)], "one of each study in turn"
    links = sql(db, "SELECT idx, run_id FROM study_trials WHERE study_id = 'a' ORDER BY idx")
    assert list(links["run_id"]) == [trials[i].id for i in (0, 1, 4, 0)]
    assert sql(db, "SELECT spec FROM sweeps")["spec"].tolist() == ['{"v": 2}']


def test_postgresqls_planner_knows_of_the_runs_at_once(postgresql: str) -> None:
    with open_database(postgresql) as db:
        add_sweep(db, "s", {}, [make_study([make_trial(i) for i in range(17)])])
        rows = sql(db, "SELECT relname, reltuples AS n FROM pg_class WHERE relname LIKE '%runs%'")
    assert rows.set_index("relname")["n"]["runs"] == 17


def test_an_index_that_is_taken_is_not_changed(db: Database) -> None:
    one, other = make_trial(0), make_trial(0, fingerprint="changed")
    add_sweep(db, "sweep", {}, [make_study([one])])
    for _ in range(2):
        add_sweep(db, "sweep", {}, [make_study([other])])
    links = sql(db, "SELECT run_id FROM study_trials ORDER BY idx")
    assert list(links["run_id"]) == [one.id, other.id]


def test_a_run_whose_index_changes_stays_where_it_is(db: Database) -> None:
    """As after another trial was drawn: a run has one place, whatever its index would be now."""
    trials = [make_trial(i) for i in range(6)]
    add_sweep(db, "sweep", {}, [make_study([trials[i] for i in (0, 1, 3, 4)])])
    for _ in range(2):
        add_sweep(db, "sweep", {}, [make_study(trials)])
    links = sql(db, "SELECT idx, run_id FROM study_trials ORDER BY idx")
    assert sorted(links["run_id"]) == sorted(trial.id for trial in trials)
    assert list(links["run_id"][:4]) == [trials[i].id for i in (0, 1, 3, 4)]


def test_sweeps_share_runs(db: Database) -> None:
    trials = [make_trial(i) for i in range(3)]
    add_sweep(db, "one", {}, [make_study(trials[:2], "a")])
    finish(db, (100, "e0", "id_val", 0.5, 10))
    assert add_sweep(db, "two", {}, [make_study(trials, "b")]) == AddedSweep(1, 3, 1, 2, 1)
    assert state_counts(db, "two")["completed"] == 1
    assert state_counts(db) == state_counts(db, "two")
    with pytest.raises(DatabaseError, match="Study a belongs to another sweep"):
        add_sweep(db, "two", {}, [make_study(trials, "a")])


def test_a_run_comes_back_as_it_was_stored(db: Database) -> None:
    trial = make_trial(3, dataset_options={"labels": [1, 2]}, hparams={"lr": 1e-7, "kind": "a b"})
    add_sweep(db, "sweep", {}, [make_study([trial])])
    record = finish(
        db,
        *[(50, "e0", "id_val", 0.25, 10), (50, "e1", "id_val", 1 / 3, 20)],
        *[(100, "e1", "train", 0.1, 5), (100, "e0", "id_test", 0.7, 9)],
        reason="",
        provenance={"device": "cpu", "seconds": 1.5, "loss": math.nan, "stack": [1, math.inf]},
    )
    stored = replace(record, provenance={**record.provenance, "loss": None, "stack": [1, None]})
    assert load_run(db, trial.id) == stored
    assert load_run(db, trial.id[:5]) == stored


def test_what_is_not_finite_is_stored_as_null_and_read_as_nan(db: Database) -> None:
    add_sweep(db, "sweep", {}, [make_study([make_trial()])])
    (item,) = claim(db, "worker", size=1, lease=60)
    points = tuple(
        Measurement(step, "", "train", "train", "loss", value, 8)
        for step, value in enumerate((0.5, math.inf, math.nan))
    )
    record = RunRecord(item.trial, "diverged", "The loss is not finite.", points)
    store_runs(db, [(item, record)])
    values = [item.value for item in load_run(db, item.run).measurements]
    assert values[0] == 0.5
    assert all(math.isnan(value) for value in values[1:])
    assert load_run(db, item.run).status == "diverged"


def test_a_run_is_found_by_the_beginning_of_its_id_or_not_at_all(db: Database) -> None:
    trials = [make_trial(i) for i in range(20)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    with pytest.raises(QueryError, match="no result yet: it is waiting"):
        load_run(db, trials[0].id)
    with pytest.raises(QueryError, match="No run has an id that begins with 'x%'"):
        load_run(db, "x%")
    with pytest.raises(QueryError, match="Several runs"):
        load_run(db, "")


def test_a_refused_run_leaves_no_measurements_and_the_others_are_stored(db: Database) -> None:
    add_sweep(db, "sweep", {}, [make_study([make_trial(0), make_trial(1)])])
    late, kept = claim(db, "worker", size=2, lease=60)
    release(db, [late])
    results = [
        (item, make_record(item.trial, (100, "e0", "id_val", 0.5, 10))) for item in (late, kept)
    ]
    assert store_runs(db, results) == [late.run]
    assert sql(db, "SELECT run_id FROM curves")["run_id"].tolist() == [kept.run]


def test_what_is_only_measured_is_stored_and_in_no_mean(db: Database) -> None:
    add_sweep(db, "sweep", {}, [make_study([make_trial(0)])])
    points = (100, "e0", "id_val", 0.5, 10), (100, "e1", "measured", 0.25, 10)
    record = finish(db, *points)
    assert summarise(record)["last"] == {"step": 100, "id_val": 0.5, "n_id_val": 10}
    assert load_run(db, record.trial.id).measurements == record.measurements
    assert list(checkpoints(db).columns) == ["run", "step", "id_val", "n_id_val"]


def test_summaries_are_unweighted_means_at_two_checkpoints() -> None:
    record = make_record(
        make_trial(),
        *[(50, "e0", "id_val", 0.75, 100), (50, "e1", "id_val", 0.25, 300)],
        *[(50, "e2", "ood_test", 0.125, 7)],
        *[(75, "e0", "id_val", 0.5, 100), (75, "e1", "id_val", 0.5, 300)],
        *[(100, "e0", "id_val", 0.25, 100), (100, "e1", "id_val", 0.5, 300)],
        *[(100, "e2", "ood_test", 0.5, 7)],
    )
    assert summarise(record) == {
        "last": {"step": 100, "id_val": 0.375, "n_id_val": 400, "ood_test": 0.5, "n_ood_test": 7},
        "best_id_val": {
            "step": 50,
            "id_val": 0.5,
            "n_id_val": 400,
            "ood_test": 0.125,
            "n_ood_test": 7,
        },
    }


def test_only_completed_runs_have_scores() -> None:
    point = (50, "e0", "id_val", 0.75, 100)
    assert summarise(make_record(make_trial(), point, status="diverged")) == {}
    assert summarise(make_record(make_trial(), point, status="failed")) == {}
    assert summarise(make_record(make_trial())) == {}
    assert set(summarise(make_record(make_trial(), (50, "e0", "id_test", 0.75, 1)))) == {"last"}


def test_a_checkpoint_with_a_score_that_is_not_finite_is_not_the_best() -> None:
    points = [(50, "e0", "id_val", math.nan, 10), (75, "e0", "id_val", 0.1, 10)]
    summary = summarise(make_record(make_trial(), *points, (100, "e0", "id_val", math.nan, 10)))
    assert summary["last"]["id_val"] is None
    assert summary["best_id_val"]["step"] == 75


def test_examples_that_all_environments_share_count_once() -> None:
    points = ((10, "e0", "id_val", 0.5, 8), (10, "e1", "id_val", 1.0, 8))
    for shared, n in ((True, 8), (False, 16)):
        record = make_record(make_trial(0), *points, provenance={"shared_examples": shared})
        assert summarise(record)["last"] == {"step": 10, "id_val": 0.75, "n_id_val": n}


@pytest.mark.parametrize("mean", [False, True])
def test_targets_keep_their_scores_and_have_a_mean_only_where_it_is_meant(mean: bool) -> None:
    points = [(10, name, "ood_test", value, 8) for name, value in (("b.1", 0.5), ("a", 0.75))]
    told = {"targets": ["b.1", "a"], **({"mean_of_targets": True} if mean else {})}
    several = summarise(make_record(make_trial(), *points, provenance=told))["last"]
    assert several["targets"] == {"b.1": 0.5, "a": 0.75}
    assert several["n_targets"] == {"b.1": 8, "a": 8}
    assert several.get("ood_test") == (0.625 if mean else None)
    assert several.get("n_ood_test") == (16 if mean else None)
    one = summarise(make_record(make_trial(), points[0], provenance={"targets": ["b.1"]}))
    assert (one["last"]["ood_test"], one["last"]["targets"]) == (0.5, {"b.1": 0.5})
