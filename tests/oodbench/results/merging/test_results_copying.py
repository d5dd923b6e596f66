"""Copying databases, and looking them over."""

from pathlib import Path

import pandas as pd
import pytest
from results_helpers import TRIALS, fill, make_record, make_study, make_trial
from sqlalchemy.exc import IntegrityError

from oodbench.errors import DatabaseError
from oodbench.results import (
    Database,
    add_sweep,
    check_database,
    checkpoints,
    claim,
    copy_database,
    counts,
    curves,
    load_run,
    open_database,
    pairs,
    runs,
    sql,
    state_counts,
    store_runs,
)


def tables(db: Database) -> list[pd.DataFrame]:
    """All that the database says, apart from who trains what."""
    return [
        runs(db).drop(columns=["status", "started", "seconds"]),
        pairs(db).drop(columns=["status", "seconds"]),
        pairs(db, "lr < 1", checkpoint="best_id_val").drop(columns=["status", "seconds"]),
        checkpoints(db),
        counts(db)[["study", "sweep", "completed", "diverged", "failed", "total"]],
        *(curves(db, trial.id) for trial in TRIALS),
        *(sql(db, f"SELECT * FROM {name} ORDER BY 1, 2") for name in ("sweeps", "study_trials")),
        sql(db, "SELECT * FROM studies ORDER BY id"),
        sql(db, "SELECT id, hparams, batch, trial, summary, provenance FROM runs ORDER BY id"),
        sql(db, "SELECT * FROM curves ORDER BY run_id, idx"),
        sql(db, "SELECT * FROM answer_keys"),
        sql(db, "SELECT * FROM predictions ORDER BY run_id"),
        sql(db, "SELECT * FROM v_best ORDER BY run"),
        sql(db, "SELECT run, test_environments, sampler, facts FROM v_runs ORDER BY position"),
    ]


@pytest.fixture
def filled(db: Database) -> Database:
    fill(db)
    return db


def other_kind(db: Database, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if db.engine.dialect.name == "sqlite":
        return str(request.getfixturevalue("empty_postgresql"))
    return str(tmp_path / "copy.db")


def test_a_copy_of_the_other_kind_says_the_same(
    filled: Database, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    destination = other_kind(filled, tmp_path, request)
    copied = copy_database(target, destination)
    assert dict(copied.rows) == {
        "sweeps": 2,
        "runs": 8,
        "studies": 3,
        "study_trials": 13,
        "origins": 1,
        "series": 4,
        "points": 20,
        "answer_keys": 1,
        "predictions": 2,
    }
    assert copied.released == 3
    back = tmp_path / "back.db"
    assert copy_database(destination, back).released == 0
    assert check_database(destination).problems == check_database(back).problems == ()
    with open_database(destination) as copy, open_database(back) as again:
        for one, two, three in zip(tables(filled), tables(copy), tables(again), strict=True):
            pd.testing.assert_frame_equal(one, two, rtol=1e-15, atol=0)
            pd.testing.assert_frame_equal(one, three, rtol=1e-15, atol=0)
        for trial in TRIALS[:2]:
            assert load_run(copy, trial.id).trial.to_json() == trial.to_json()
            assert list(load_run(copy, trial.id).trial.hparams) == list(trial.hparams)


def test_work_goes_on_in_a_copy(
    filled: Database, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    attempts = runs(filled).set_index("run")["attempt"]
    destination = other_kind(filled, tmp_path, request)
    copy_database(target, destination)
    assert state_counts(filled)["running"] == 3, "the source is left alone"
    with open_database(destination) as copy:
        assert state_counts(copy)["running"] == 0
        assert (runs(copy).set_index("run")["attempt"] == attempts).all()
        new = [make_trial(i) for i in range(20, 22)]
        assert add_sweep(copy, "third", {}, [make_study(new, "d")]).new_runs == 2
        while claims := claim(copy, "worker", size=4, lease=60):
            point = (100, "e0", "id_val", 0.5, 1)
            assert store_runs(copy, [(c, make_record(c.trial, point)) for c in claims]) == []
        assert state_counts(copy)["completed"] == 8
    assert check_database(destination).problems == ()


def test_a_destination_with_runs_is_refused(filled: Database, target: str, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "mine", {}, [make_study([make_trial()])])
    for source, destination in ((target, path), (path, target), (target, target)):
        with pytest.raises(DatabaseError, match=r"has \d sweeps already.*new file or an empty"):
            copy_database(source, destination)
    with open_database(path) as db:
        assert len(runs(db)) == 1
    with pytest.raises(DatabaseError, match="no database at"):
        copy_database(tmp_path / "none.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_copy_that_is_interrupted_leaves_nothing(
    filled: Database,
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    destination = other_kind(filled, tmp_path, request)
    monkeypatch.setattr("oodbench.results.merging.copying.CHUNK", 3)
    monkeypatch.setattr(
        "oodbench.results.merging.copying.released",
        lambda table, row: row | {"run_id": None} if row.get("series_id") == 3 else row,
    )
    with pytest.raises(IntegrityError, match=r"(?i)not.null"):
        copy_database(target, destination)
    with open_database(destination) as copy:
        assert all(sql(copy, f"SELECT * FROM {name}").empty for name in ("sweeps", "runs"))


def test_a_sound_database_has_no_problems(filled: Database, target: str) -> None:
    before = [frame.to_dict() for frame in tables(filled)]
    found = check_database(target)
    assert found.problems == ()
    assert found.rows["runs"] == 8
    assert found.states == {
        "waiting": 1,
        "running": 3,
        "completed": 2,
        "diverged": 1,
        "failed": 1,
    }
    assert str(before) == str([frame.to_dict() for frame in tables(filled)])


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE runs SET state = 'lost' WHERE position = 0", "1 runs are in an unknown state"),
        ("UPDATE runs SET lease = 1 WHERE state = 'waiting'", "waiting in a worker's hands"),
        ("UPDATE runs SET owner = NULL WHERE state = 'running'", "3 runs are running in no"),
        ("UPDATE runs SET state = 'waiting', owner = NULL, lease = NULL", "but have measurements"),
        ("UPDATE runs SET finished = NULL", "4 runs are finished, but have no time"),
        ("UPDATE runs SET summary = '{}'", "2 runs are completed, but have no summary"),
        ("UPDATE runs SET state = 'failed'", "2 runs are not completed, but have predictions"),
        ("UPDATE answer_keys SET source = 'mnist'", "1 answer keys are not what their id says"),
        (
            "UPDATE predictions SET packed = substr(packed, 2)",
            "2 runs are with predictions of other examples",
        ),
        ("DELETE FROM points", "2 runs are completed, but have no measurements"),
        ("UPDATE runs SET reason = ''", "2 runs are diverged or failed without a reason"),
        ("UPDATE runs SET trial = '{\"dataset\": 1}'", "8 runs are not of the trial"),
        ("DELETE FROM study_trials", "8 runs are in no study"),
        ("DROP VIEW v_best", "The view v_best is missing"),
    ],
)
def test_problems_are_found_and_named(
    filled: Database, target: str, statement: str, problem: str
) -> None:
    with filled.write() as connection:
        connection.exec_driver_sql(statement)
    found = check_database(target)
    assert any(problem in line for line in found.problems), found.problems
    assert check_database(target) == found


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_references_to_nothing_are_found(filled: Database, target: str) -> None:
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("DELETE FROM sweeps WHERE id = 1")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("BEGIN")
    assert check_database(target).problems == (
        "2 rows of studies have a sweep_id that does not exist.",
    )


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, [make_study([make_trial(i) for i in range(200)])])
        with db.write() as connection:
            page = connection.exec_driver_sql(
                "SELECT rootpage FROM sqlite_master WHERE name = 'ix_runs_position'"
            ).scalar()
    damaged = bytearray(path.read_bytes())
    damaged[(page - 1) * 4096 + 40 : (page - 1) * 4096 + 400] = b"\xff" * 360
    path.write_bytes(damaged)
    try:
        problems = " ".join(check_database(path).problems)
    except DatabaseError as error:
        problems = str(error)
    assert "damaged" in problems
    assert "Restore it from a copy" in problems
