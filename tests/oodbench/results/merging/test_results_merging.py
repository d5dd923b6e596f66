"""Merging: shards, torn and missing ones, two places, conflicts; nothing twice, nothing lost."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from results_helpers import make_predictions, make_record, make_study, make_trial

from oodbench.errors import DatabaseError, RequestError
from oodbench.records import Measurement, RunRecord, Trial, hash_of
from oodbench.results import (
    Database,
    Shard,
    add_shard,
    add_sweep,
    cancel,
    check_database,
    claim,
    copy_database,
    load_run,
    merge_databases,
    open_database,
    pairs,
    runs,
    sql,
    store_probes,
    store_runs,
)
from oodbench.results.sweeps.plans import PlannedStudy

OF = 3
PLAN = [
    make_study([make_trial(i, optimizer=o) for i in range(8)], hash_of(o)) for o in ("sgd", "adam")
]
OUTCOME = ["run", "status", "reason", "id", "ood", "lr", "position", "idx", "attempt"]


def result(trial: Trial, shift: float = 0.0) -> RunRecord:
    """What training this trial always gives."""
    rng = random.Random(trial.id)
    points = [
        (step, "e0", role, rng.random(), 9) for step in (50, 100) for role in ("id_val", "ood_test")
    ]
    points += [(100, "e1", "id_test", rng.random() + shift, 9)]
    diverged = rng.random() < 0.2
    kept = {"predictions": make_predictions(rng.randrange(1, 9) + (shift > 0))}
    more = {"status": "diverged", "reason": "A loss became infinite."} if diverged else kept
    return make_record(trial, *points, **more, provenance={"seconds": random.random()})


def train(db: Database, most: int = 99, shift: float = 0.0) -> int:
    """Finish some runs; how many there were."""
    done = 0
    while done < most and (claims := claim(db, "worker", size=2, lease=60)):
        claims = claims[: most - done]
        assert store_runs(db, [(c, result(c.trial, shift)) for c in claims]) == []
        done += len(claims)
    return done


def everything(target: str | Path) -> list[pd.DataFrame]:
    """All that a database says, apart from when and by whom."""
    with open_database(target, read_only=True) as db:
        columns = "run, status, reason, hparams, test_environments, sampler, attempt"
        return [
            sql(db, f"SELECT {columns} FROM v_runs ORDER BY position"),
            sql(db, "SELECT study_id, idx, run_id, sampler FROM study_trials ORDER BY 1, 2"),
            sql(db, "SELECT id, dataset, optimizer, sampler, space FROM studies ORDER BY id"),
            sql(db, "SELECT position, trial, summary FROM runs ORDER BY position"),
            pairs(db).drop(columns=["started", "seconds", "finished", "created"], errors="ignore"),
            sql(
                db,
                "SELECT run_id, step, environment, split, role, metric, value, n FROM curves "
                "ORDER BY 1, 2, 3, 5, 6",
            ),
            sql(db, "SELECT * FROM predictions ORDER BY 1, 2"),
            sql(db, "SELECT * FROM answer_keys ORDER BY 1"),
        ]


def assert_equal(one: str | Path, two: str | Path) -> None:
    for left, right in zip(everything(one), everything(two), strict=True):
        pd.testing.assert_frame_equal(left, right, rtol=0, atol=0)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The sweep as one worker leaves it."""
    path = tmp_path / "whole.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {"name": "s"}, PLAN)
        assert train(db) == 16
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"shard-{number}.db" for number in range(OF)]
    for number, path in enumerate(paths):
        with open_database(path, create=True) as db:
            add_shard(db, "s", {"name": "s"}, PLAN, Shard(number, OF))
            train(db)
    return paths


def test_shards_together_are_the_whole_sweep_in_whatever_order(
    shards: list[Path], whole: Path, nothing: str, tmp_path: Path
) -> None:
    merged = merge_databases(nothing, shards)
    assert [one.problem for one in merged.sources] == [""] * OF
    assert sum(one.new for one in merged.sources) == 16
    assert sum(one.results for one in merged.sources) == 16
    assert merged.lacking == []
    assert check_database(nothing).problems == ()
    assert_equal(nothing, whole)
    for number, order in enumerate(itertools.permutations(shards)):
        path = tmp_path / f"order-{number}.db"
        for shard in order:
            merge_databases(path, [shard])
        assert_equal(path, whole)


def test_merging_again_changes_nothing(shards: list[Path], nothing: str) -> None:
    merge_databases(nothing, shards)
    before = everything(nothing)
    merged = merge_databases(nothing, [*reversed(shards), shards[0]])
    assert {(one.new, one.results, one.problem) for one in merged.sources} == {(0, 0, "")}
    assert sum(one.known for one in merged.sources[:OF]) == 16
    for left, right in zip(before, everything(nothing), strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_a_torn_and_a_missing_shard_are_told_and_the_others_merged(
    shards: list[Path], whole: Path, nothing: str, tmp_path: Path
) -> None:
    good = shards[0].read_bytes()
    shards[0].write_bytes(good[: len(good) // 2])  # a copy that broke off
    away = shards[1].rename(tmp_path / "elsewhere.db")
    merged = merge_databases(nothing, shards)
    torn, missing, third = merged.sources
    assert "is damaged: database disk image is malformed" in torn.problem
    assert "no database at" in missing.problem
    assert not third.problem
    assert third.results == len(runs_of(nothing))
    assert {number for one in merged.lacking for number in one.shards} == {0, 1}
    assert sum(one.trials for one in merged.lacking) == 16 - third.results
    assert check_database(nothing).problems == ()
    shards[0].write_bytes(good)
    assert merge_databases(nothing, [shards[0]]).lacking[0].shards == {1}
    assert merge_databases(nothing, [away]).lacking == []
    assert_equal(nothing, whole)


def test_more_trials_than_before_are_lacking_until_each_shard_has_its_part(
    shards: list[Path], tmp_path: Path
) -> None:
    merged, more = tmp_path / "all.db", []
    for study in PLAN:
        trials = [make_trial(i, optimizer=study.optimizer) for i in range(12)]
        more.append(make_study(trials, study.id, optimizer=study.optimizer))
    assert merge_databases(merged, shards).lacking == []
    lacking = []
    for number, path in enumerate(shards):
        with open_database(path) as db:
            add_shard(db, "s", {"name": "s"}, more, Shard(number, OF))
        found = merge_databases(merged, shards).lacking
        assert {shard for one in found for shard in one.shards} == set(range(number + 1, OF))
        lacking.append(sum(one.trials for one in found))
    assert len(runs_of(merged)) == 24
    assert 8 > lacking[0] > lacking[1] > lacking[2] == 0


def test_what_was_cancelled_is_not_lacking(shards: list[Path], tmp_path: Path) -> None:
    shards[0].unlink()
    with open_database(shards[0], create=True) as db:
        add_shard(db, "s", {"name": "s"}, PLAN, Shard(0, OF))
        train(db, most=2)
        gone = cancel(db, "s")
    assert gone > 0
    together = merge_databases(tmp_path / "all.db", shards)
    assert (together.lacking, len(runs_of(tmp_path / "all.db"))) == ([], 16 - gone)
    # A copy from before it was cancelled lacks nothing either; nor one that asks for them again.
    with open_database(shards[0]) as db:
        add_shard(db, "s", {"name": "s"}, PLAN, Shard(0, OF))
    assert merge_databases(tmp_path / "all.db", shards).lacking == []
    assert len(runs_of(tmp_path / "all.db")) == 16
    alone = merge_databases(tmp_path / "one.db", shards[:1]).lacking
    assert {number for one in alone for number in one.shards} == {1, 2}


def runs_of(target: str | Path) -> pd.DataFrame:
    with open_database(target, read_only=True) as db:
        return runs(db)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_files_that_are_no_databases(content: bytes, shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(content)
    merged = merge_databases(tmp_path / "all.db", [tmp_path / "bad.db", *shards])
    assert [bool(one.problem) for one in merged.sources] == [True, False, False, False]
    with pytest.raises(DatabaseError, match=r"Nothing can be merged:\n  .*bad.db: "):
        merge_databases(tmp_path / "none.db", [tmp_path / "bad.db"])
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(RequestError, match="cannot be merged into itself"):
        merge_databases(shards[0], [shards[1], tmp_path / "." / shards[0].name])


def test_a_shard_that_is_not_finished_can_be_merged_and_merged_again(
    tmp_path: Path, nothing: str, whole: Path
) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(OF)]
    for number, path in enumerate(paths):
        with open_database(path, create=True) as db:
            add_shard(db, "s", {"name": "s"}, PLAN, Shard(number, OF))
            train(db, most=2)
            claim(db, "at work", size=1, lease=60)
    merged = merge_databases(nothing, paths)
    assert (sum(m.new for m in merged.sources), sum(m.results for m in merged.sources)) == (16, 6)
    with open_database(nothing) as db:
        assert set(runs(db)["status"]) <= {"completed", "diverged", "waiting"}
        assert set(runs(db).query("status == 'waiting'")["attempt"]) <= {0, 1}
        train(db)  # where they are merged, the others can be trained
    assert check_database(nothing).problems == ()
    for left, right in zip(everything(nothing)[4:], everything(whole)[4:], strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_a_worker_is_refused_whose_run_was_merged_meanwhile(
    whole: Path, db: Database, target: str
) -> None:
    add_sweep(db, "s", {"name": "s"}, PLAN)
    claims = claim(db, "slow", size=4, lease=60)
    assert merge_databases(target, [whole]).sources[0].results == 16
    refused = store_runs(db, [(c, result(c.trial)) for c in claims])
    assert refused == [c.run for c in claims]
    assert_equal(target, whole)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same trials, trained on a machine that rounds otherwise; and one more study."""
    path = tmp_path / "other.db"
    more = make_study([make_trial(i) for i in range(50, 52)], hash_of("more"))
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {"name": "s"}, [*PLAN, more])
        train(db, shift=1e-9)
    return path


def test_results_that_differ_are_refused_whole_or_kept_as_they_are(
    whole: Path, other: Path, tmp_path: Path, nothing: str
) -> None:
    copy_database(whole, nothing)
    refused = merge_databases(nothing, [other]).sources[0]
    assert "16 runs have another result" in refused.problem
    assert "--keep-first" in refused.problem
    assert_equal(nothing, whole)
    kept = merge_databases(nothing, [other], keep_first=True).sources[0]
    assert (kept.new, kept.results, kept.known, kept.kept, kept.problem) == (2, 2, 16, 16, "")
    with open_database(nothing) as db, open_database(whole) as first:
        for study in PLAN:
            for trial in study.trials:
                assert load_run(db, trial.id).measurements == load_run(first, trial.id).measurements
    assert check_database(nothing).problems == ()


def test_a_run_that_failed_in_one_place_only_is_a_conflict(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "failed.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, PLAN)
        claims = claim(db, "worker", size=1, lease=60)
        store_runs(db, [(claims[0], RunRecord(claims[0].trial, "failed", "No memory."))])
    assert claims[0].run in merge_databases(path, [whole]).sources[0].problem
    with open_database(path) as db:
        from oodbench.results import retry

        retry(db, "s", ["failed"])
    assert merge_databases(path, [whole]).sources[0].results == 16


def test_predictions_that_were_not_kept_come_along_with_equal_results_alone(
    whole: Path, other: Path, tmp_path: Path
) -> None:
    without = tmp_path / "without.db"
    copy_database(whole, without)
    with open_database(without) as db, db.write() as connection:
        connection.exec_driver_sql("DELETE FROM predictions")
        connection.exec_driver_sql("DELETE FROM answer_keys")
    assert merge_databases(without, [other], keep_first=True).sources[0].kept == 16
    with open_database(without) as db:
        mine = [trial.id for study in PLAN for trial in study.trials]
        assert not set(sql(db, "SELECT run_id FROM predictions")["run_id"]) & set(mine)
    assert not merge_databases(without, [whole]).sources[0].problem
    with open_database(without) as db, open_database(whole) as source:
        expected = sql(source, "SELECT run_id, packed FROM predictions")
        found = sql(db, "SELECT run_id, packed FROM predictions")
    assert not expected.empty
    assert (
        dict(expected.itertuples(index=False)).items()
        <= dict(found.itertuples(index=False)).items()
    )


def test_what_probes_measured_comes_along(whole: Path, tmp_path: Path) -> None:
    path, run = tmp_path / "probed.db", PLAN[0].trials[0].id
    copy_database(whole, path)

    def probe(target: Path, metric: str, value: float) -> None:
        with open_database(target) as db:
            store_probes(db, {run: [Measurement(100, "", "train", "train", metric, value, 9)]})

    probe(path, "sharpness_trace", 1.0)
    probe(path, "path_gamma", 2.0)
    probe(whole, "path_gamma", 3.0)
    for _ in range(2):
        assert not merge_databases(whole, [path]).sources[0].problem
        with open_database(whole) as db:
            found = {m.metric: m.value for m in load_run(db, run).measurements}
        assert found["sharpness_trace"] == 1.0
        assert found["path_gamma"] == 3.0  # what is there stays


def plans(names: Sequence[str]) -> list[PlannedStudy]:
    return [make_study([make_trial(i, optimizer=n) for i in range(2)], hash_of(n)) for n in names]


def test_sweeps_of_two_databases(tmp_path: Path, nothing: str) -> None:
    """They share a run; each study keeps its own places."""
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    with open_database(one, create=True) as db:
        add_sweep(db, "first", {"name": "first"}, plans(["a", "b"]))
        train(db)
    with open_database(two, create=True) as db:
        add_sweep(db, "second", {"name": "second"}, [make_study(plans(["b"])[0].trials, "f00")])
        train(db)
    merged = merge_databases(nothing, [one, two])
    assert [(m.new, m.known) for m in merged.sources] == [(4, 0), (0, 2)]
    with open_database(nothing) as db:
        links = sql(db, "SELECT study_id, idx FROM study_trials ORDER BY 1, 2")
        assert len(links) == 6
        assert set(sql(db, "SELECT name FROM sweeps")["name"]) == {"first", "second"}
        assert add_sweep(db, "third", {}, plans(["c"])).new_runs == 2  # numbers go on
        train(db)
    assert check_database(nothing).problems == ()
