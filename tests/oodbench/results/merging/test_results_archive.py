"""A database as Parquet files, and back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from results_helpers import fill, make_predictions, make_record, make_study, make_trial

import oodbench
from oodbench.answers import AnswerKey, KeptPredictions, ScoredSplit
from oodbench.errors import DatabaseError, RequestError
from oodbench.results import (
    Database,
    add_sweep,
    check_database,
    claim,
    open_database,
    pairs,
    sql,
    store_runs,
)
from oodbench.results.merging.archive import ABOUT, read_archive, write_archive
from oodbench.results.merging.archived import ARCHIVED

LEFT_OUT = {"owner", "lease", "proposer_owner", "proposer_lease", "started"}


@pytest.fixture
def archive(db: Database, tmp_path: Path) -> Path:
    fill(db)
    write_archive(db.url, tmp_path / "archive", "By hand.", all_steps=True)
    return tmp_path / "archive"


def rows(db: Database, table: str) -> pd.DataFrame:
    """A table in the order of its keys, without what is left out; times in whole seconds."""
    frame = sql(db, f"SELECT * FROM {table}")
    keys = [name for name in ("study_id", "run_id", "position", "id") if name in frame]
    frame = frame.sort_values(keys, kind="stable", ignore_index=True)
    for name in frame.columns.intersection(["created", "finished"]):
        frame[name] = frame[name].round()
    return frame.drop(columns=[name for name in LEFT_OUT if name in frame])


def test_everything_comes_back_but_whose_hands_it_was_in(
    db: Database, archive: Path, nothing: str
) -> None:
    counted = read_archive(archive, nothing)
    with open_database(nothing) as copy:
        for table in ARCHIVED:
            before, after = rows(db, table.name), rows(copy, table.name)
            assert counted[table.name] == len(before) > 0, table.name
            if table.name == "runs":  # what was being trained waits
                running = before["state"] == "running"
                assert running.sum() == 3
                before.loc[running, ["state", "cohort_size"]] = after.loc[
                    running, ["state", "cohort_size"]
                ]
                assert set(after.loc[running, "state"]) == {"waiting"}
            pd.testing.assert_frame_equal(before, after, check_dtype=False)
        assert json.loads(sql(copy, "SELECT spec FROM sweeps WHERE id = 1")["spec"][0]) == {
            "z": 1,
            "a": [1e16, None],
        }
    assert check_database(nothing).problems == ()


def test_it_goes_on_where_it_was(db: Database, archive: Path, nothing: str) -> None:
    unfinished = set(sql(db, "SELECT id FROM runs WHERE finished IS NULL")["id"])
    read_archive(archive, nothing)
    with open_database(nothing) as copy:
        done = set()
        while claims := claim(copy, "worker", size=8, lease=60):
            points = [(100, "e", "id_val", 0.5, 10)]
            assert store_runs(copy, [(c, make_record(c.trial, *points)) for c in claims]) == []
            done |= {item.run for item in claims}
        assert done == unfinished
        add_sweep(copy, "third", {}, [make_study([make_trial(9)], "d")])
    assert check_database(nothing).problems == ()


def test_the_steps_that_are_selected_from_keep_every_score(db: Database, tmp_path: Path) -> None:
    fill(db)
    write_archive(db.url, tmp_path / "archive", "By hand.")
    read_archive(tmp_path / "archive", tmp_path / "copy.db")
    with open_database(tmp_path / "copy.db") as copy:
        for checkpoint in ("last", "best_id_val"):
            before, after = (pairs(d, checkpoint=checkpoint) for d in (db, copy))
            pd.testing.assert_frame_equal(
                before.drop(columns="status"), after.drop(columns="status")
            )


def test_other_steps_are_left_out(db: Database, tmp_path: Path) -> None:
    """ID validation is best at step 50; nothing is selected at 25 and 75."""
    add_sweep(db, "s", {}, [make_study([make_trial()])])
    (item,) = claim(db, "worker", size=1, lease=60)
    scores = {25: 0.1, 50: 0.9, 75: 0.2, 100: 0.5}
    points = [(step, "e", "id_val", score, 10) for step, score in scores.items()]
    store_runs(db, [(item, make_record(item.trial, *points))])
    for all_steps, kept in ((False, [50, 100]), (True, [25, 50, 75, 100])):
        write_archive(db.url, tmp_path / "archive", "By hand.", all_steps=all_steps)
        read_archive(tmp_path / "archive", tmp_path / f"{all_steps}.db")
        with open_database(tmp_path / f"{all_steps}.db") as copy:
            assert (
                sql(copy, "SELECT step FROM curves ORDER BY run_id, idx")["step"].tolist() == kept
            )


def test_predictions_may_be_those_of_the_first_trials(db: Database, tmp_path: Path) -> None:
    """Three trials that predicted 0, 1 and 2 of the examples wrongly; the second in a file."""
    trials = [make_trial(i) for i in range(3)]
    add_sweep(db, "s", {}, [make_study(trials)])
    for item in claim(db, "worker", size=3, lease=60):
        number = trials.index(item.trial)
        made = make_predictions(number)
        if number == 1:
            made = KeptPredictions(made.key, {"last": {"file": "f", "sha256": "0", "bytes": 1}})
        points = [(100, "e", "id_val", 0.5, 10)]
        store_runs(db, [(item, make_record(item.trial, *points, predictions=made))])
    for first, kept in ((None, [0, 2]), (3, [0, 2]), (2, [0])):
        write_archive(db.url, tmp_path / "archive", "By hand.", predicted=first)
        read_archive(tmp_path / "archive", tmp_path / f"{first}.db")
        (found,) = oodbench.predictions(tmp_path / f"{first}.db")
        assert found.runs == tuple(trials[number].id for number in kept)
        wrong = (found.predicted != found.examples["label"].to_numpy()).sum(axis=1)
        assert wrong.tolist() == kept


def test_predictions_of_many_runs_are_smaller_together(db: Database, tmp_path: Path) -> None:
    """Runs that are wrong on the same 500 of 2,000 examples, and on 20 of their own."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 2000)
    split = ScoredSplit("a", "test", "ood_test", 2000)
    groups = np.full((2000, 1), -1)
    key = AnswerKey("digits", (split,), labels, np.arange(2000), 10, groups)
    common = np.where(rng.random(2000) < 0.25, rng.integers(0, 10, 2000), labels)
    add_sweep(db, "s", {}, [make_study([make_trial(i) for i in range(40)])])
    alone = 0
    for item in claim(db, "worker", size=40, lease=60):
        predicted = common.copy()
        predicted[rng.integers(0, 2000, 20)] = 0
        kept = KeptPredictions(key, {"last": key.pack(predicted)})
        alone += len(kept.packed["last"])
        points = [(100, "e", "id_val", 0.5, 10)]
        store_runs(db, [(item, make_record(item.trial, *points, predictions=kept))])
    write_archive(db.url, tmp_path / "archive", "By hand.")
    assert (tmp_path / "archive" / "predictions.parquet").stat().st_size < alone / 5


def test_an_older_archive_gets_the_defaults(archive: Path, tmp_path: Path) -> None:
    """As one of the first schema: no count of excused attempts, no agenda."""
    for name, column in (("runs", "excused"), ("studies", "agenda")):
        path = archive / f"{name}.parquet"
        parquet.write_table(parquet.read_table(path).drop_columns(column), path)
    about = json.loads((archive / ABOUT).read_text()) | {"revision": "0001"}
    (archive / ABOUT).write_text(json.dumps(about))
    read_archive(archive, tmp_path / "copy.db")
    with open_database(tmp_path / "copy.db") as copy:
        assert set(sql(copy, "SELECT excused FROM runs")["excused"]) == {0}
        assert sql(copy, "SELECT agenda FROM studies")["agenda"].isna().all()
    assert check_database(tmp_path / "copy.db").problems == ()


def test_a_newer_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    about = json.loads((archive / ABOUT).read_text()) | {"revision": "9999"}
    (archive / ABOUT).write_text(json.dumps(about))
    with pytest.raises(RequestError, match=r"schema 9999.*pip install -U oodbench"):
        read_archive(archive, tmp_path / "copy.db")


def test_what_is_there_is_not_mixed_with(db: Database, archive: Path) -> None:
    with pytest.raises(DatabaseError, match="2 sweeps already"):
        read_archive(archive, db.url)


def test_pyarrow_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oodbench.results.merging.archive.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'oodbench\[parquet\]'"):
        read_archive(tmp_path, tmp_path / "copy.db")
