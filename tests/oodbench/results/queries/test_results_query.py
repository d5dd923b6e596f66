"""Tables and views against numbers worked out by hand; SQL that may only read; selection."""

import json
import math
import os
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench.errors import QueryError, UnknownNameError
from oodbench.records import PROTOCOL
from oodbench.results import (
    Database,
    add_sweep,
    checkpoints,
    claim,
    count_runs,
    curves,
    open_database,
    pairs,
    runs,
    sql,
    store_runs,
)
from oodbench.results.imports import Imported, add_imported, group_of
from oodbench.results.queries import rawsql
from oodbench.results.select import select

TRIALS = [
    make_trial(0, hparams={"lr": 0.1}),
    make_trial(1, hparams={"lr": 0.2, "seed": 7}),
    make_trial(2, hparams={"lr": 0.3}),
    make_trial(3, hparams={"lr": 0.4}),
    make_trial(4, optimizer="sgd", hparams={"lr": 0.5, "momentum": 0.9}),
]


COST = "gradient_evaluations"


@pytest.fixture
def filled(db: Database) -> Database:
    """Adam: two completed, one diverged, one waiting. SGD: one failed."""
    plan = [make_study(TRIALS[:4], "a"), make_study(TRIALS[4:], "b", facts={"num_classes": 10})]
    for studies in (plan[:1], plan):  # Adam's runs wait before SGD's
        add_sweep(db, "sweep", {}, studies)
    zero, one, two, _ = claim(db, "worker", size=4, lease=60)
    records = [
        make_record(
            zero.trial,
            *[(50, "e0", "id_val", 0.75, 10), (50, "e1", "id_val", 0.5, 30)],
            *[(50, "e0", "id_test", 0.5, 20), (50, "e2", "ood_test", 0.375, 40)],
            *[(100, "e0", "id_val", 0.25, 10), (100, "e1", "id_val", 0.5, 30)],
            *[(100, "e0", "id_test", 1.0, 20), (100, "e2", "ood_test", 0.125, 40)],
            (100, "e2", "oracle_val", 0.75, 8),
        ),
        make_record(
            one.trial,
            *[(50, "e0", "id_val", 0.125, 10), (50, "e1", "id_val", 0.25, 30)],
            *[(100, "e0", "id_val", 0.5, 10), (100, "e1", "id_val", 0.5, 30)],
            *[(100, "e2", "ood_test", 0.25, 40), (100, "e2", "oracle_val", 0.5, 8)],
        ),
        make_record(
            two.trial,
            *[(50, "e0", "id_val", 0.875, 10), (50, "e1", "id_val", math.nan, 30)],
            status="diverged",
            reason="The loss is not finite.",
        ),
    ]
    assert store_runs(db, list(zip((zero, one, two), records, strict=True))) == []
    (failed,) = claim(db, "worker", size=1, lease=60)
    how = {
        "status": "failed",
        "reason": "No memory.",
        "provenance": {"seconds": 2.5, "gradient_evaluations": 7},
    }
    store_runs(db, [(failed, make_record(failed.trial, **how))])
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'waiting' WHERE state = 'running'")
    return db


def test_runs_has_a_row_for_each_run_whatever_its_status(filled: Database) -> None:
    frame = runs(filled)
    assert list(frame["run"]) == [trial.id for trial in TRIALS]
    expected = ["completed", "completed", "diverged", "waiting", "failed"]
    assert list(frame["status"]) == expected
    assert list(frame["reason"][2:]) == ["The loss is not finite.", "", "No memory."]
    assert list(frame["lr"]) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert frame["seconds"][4] == 2.5
    assert frame["gradient_evaluations"][4] == 7
    assert frame["gradient_evaluations"][:4].isna().all()
    assert set(frame["sampler"]) == {"random"}
    assert set(frame["test_environments"]) == {"2"}
    assert list(frame["seed"]) == [0, 1, 2, 3, 4]
    assert frame["hparam_seed"][1] == 7


def test_pairs_at_the_last_checkpoint(filled: Database) -> None:
    frame = pairs(filled)
    names = ["id_val", "id_test", "ood_val", "ood_test", "oracle_val", "id", "ood", "n_id", "n_ood"]
    nan = math.nan
    expected = [
        [0.375, 1.0, nan, 0.125, 0.75, 1.0, 0.125, 20, 40],
        [0.5, nan, nan, 0.25, 0.5, 0.5, 0.25, 40, 40],
        *[[nan] * 9] * 3,
    ]
    pd.testing.assert_frame_equal(
        frame[names].astype("float64"), pd.DataFrame(expected, columns=names)
    )
    assert set(frame["checkpoint"]) == {"last"}
    assert list(frame["step"][:2]) == [100, 100]
    assert list(frame["chance"][:4]) == [0.1] * 4
    assert frame["num_classes"][4] == 10
    assert math.isnan(frame["chance"][4])
    assert frame["optimizer_kind"][0] == "adaptive"
    assert frame["optimizer_kind"].isna()[4]


def test_pairs_at_the_best_checkpoint(filled: Database) -> None:
    frame = pairs(filled, checkpoint="best_id_val")
    assert list(frame["step"][:2]) == [50, 100]
    assert frame.loc[0, ["id_val", "id", "ood"]].tolist() == [0.625, 0.5, 0.375]
    assert pairs(filled, "id_val > 0.6", checkpoint="best_id_val")["run"].tolist() == [TRIALS[0].id]
    with pytest.raises(
        UnknownNameError, match=r"checkpoint rule 'best'.*Allowed: best_id_val, last"
    ):
        pairs(filled, checkpoint="best")


def test_pairs_of_one_sweep(filled: Database) -> None:
    add_sweep(filled, "small", {}, [make_study(TRIALS[1:2], "c")])
    assert pairs(filled, sweep="small")["run"].tolist() == [TRIALS[1].id]
    assert pairs(filled, "lr > 1").empty
    assert list(pairs(filled, "lr > 1").columns[:3]) == ["run", "position", "config_id"]


@pytest.mark.parametrize("where", [None, "lr > 0.1", "hparams.momentum is not None"])
def test_the_first_pairs_are_those_of_all(filled: Database, where: str | None) -> None:
    every = pairs(filled, where)
    assert count_runs(filled, where) == len(every) > 0
    shown = ["run", "status", "id", "ood", "worst_group_val"]
    for limit in (1, 2, 50):
        first = pairs(filled, where, limit=limit)
        pd.testing.assert_frame_equal(first[shown], every[shown].head(limit))


def test_pairs_read_in_pieces_are_those_read_at_once(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = pairs(filled)
    monkeypatch.setattr("oodbench.results.frames.PIECE", 2)
    pd.testing.assert_frame_equal(pairs(filled), every)


def test_only_the_columns_that_are_asked_for(filled: Database) -> None:
    names = ["run", "optimizer", "sampler", "step", "id", "chance"]
    few = pairs(filled, per_environment=False, columns=names)
    assert set(few) == {*names, "checkpoint"}
    pd.testing.assert_frame_equal(few, pairs(filled)[list(few)])


def test_the_views_say_the_same(filled: Database) -> None:
    frame = sql(filled, "SELECT * FROM v_pairs ORDER BY position")
    same = pairs(filled)
    for name in ("run", "id", "ood", "n_id", "n_oracle_val", "chance", "status", COST):
        pd.testing.assert_series_equal(frame[name], same[name], check_dtype=False)
    best = sql(filled, "SELECT run, optimizer, id_val FROM v_best")
    assert best.to_numpy().tolist() == [[TRIALS[1].id, "adam", 0.5]]
    assert len(sql(filled, "SELECT * FROM v_runs WHERE status = 'diverged'")) == 1


def test_v_best_gives_equal_scores_to_the_smallest_id(db: Database) -> None:
    add_sweep(db, "sweep", {}, [make_study(TRIALS[:3])])
    claims = claim(db, "worker", size=3, lease=60)
    point = (100, "e0", "id_val", 0.5, 10)
    store_runs(db, [(item, make_record(item.trial, point)) for item in claims])
    smallest = min(trial.id for trial in TRIALS[:3])
    assert sql(db, "SELECT run FROM v_best")["run"].tolist() == [smallest]
    assert select(pairs(db))["run"].tolist() == [smallest]


def test_v_best_never_pools_protocols(db: Database) -> None:
    own, theirs = make_trial(0), make_trial(1, protocol="imported:x")
    add_sweep(db, "sweep", {}, [make_study([own])])
    (item,) = claim(db, "worker", size=1, lease=60)
    store_runs(db, [(item, make_record(own, (100, "e0", "id_val", 0.5, 10)))])
    record = make_record(theirs, (100, "e0", "id_val", 0.75, 10))
    add_imported(db, Imported("x", "theirs", {}, [record], {group_of(record): {}}))
    best = sql(db, "SELECT protocol, run FROM v_best ORDER BY protocol")
    assert best.to_numpy().tolist() == [[PROTOCOL, own.id], ["imported:x", theirs.id]]


def test_checkpoints(filled: Database) -> None:
    frame = checkpoints(filled).set_index(["run", "step"])
    zero, one, two = (trial.id for trial in TRIALS[:3])
    assert frame.loc[(zero, 50), ["id_val", "id_test", "ood_test"]].tolist() == [0.625, 0.5, 0.375]
    assert frame.loc[(zero, 50), ["n_id_val", "n_ood_test"]].tolist() == [40, 40]
    assert frame.loc[(one, 50), "id_val"] == 0.1875
    assert math.isnan(frame.loc[(one, 50), "ood_test"])
    assert math.isnan(frame.loc[(two, 50), "id_val"]), "one environment was not finite"
    assert len(frame) == 5
    assert len(checkpoints(filled, "lr = 0.1")) == 2
    assert checkpoints(filled, "lr > 1").empty


def test_curves(filled: Database) -> None:
    frame = curves(filled, TRIALS[2].id[:8])
    assert list(frame["environment"]) == ["e0", "e1"]
    assert frame["value"][0] == 0.875
    assert math.isnan(frame["value"][1])
    assert list(frame.columns)[:3] == ["run", "step", "environment"]


def test_an_empty_database_gives_empty_tables(db: Database) -> None:
    for frame in (runs(db), pairs(db), checkpoints(db), select(pairs(db))):
        assert frame.empty


WRITES = [
    "DELETE FROM runs",
    "UPDATE runs SET state = 'waiting' RETURNING id",
    "WITH x AS (SELECT 1) INSERT INTO sweeps SELECT 1, 'a', '{}', 0 FROM x",
    "SELECT 1; DELETE FROM runs",
    "DROP VIEW v_best",
    "CREATE TABLE x AS SELECT 1",
    "COMMIT; DELETE FROM runs",
]
WRITES_SQLITE = [
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "ATTACH 'other.db' AS other",
    "COMMIT",
    "VACUUM INTO 'copy.db'",
    "CREATE TEMP TABLE x AS SELECT 1",
    "SELECT load_extension('x')",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "SAVEPOINT x",
    "RELEASE x",
    "ROLLBACK",
    "BEGIN EXCLUSIVE",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version = 7",
    "PRAGMA foreign_keys = OFF",
    "REPLACE INTO sweeps SELECT * FROM sweeps",
    "INSERT INTO runs DEFAULT VALUES RETURNING id",
    "WITH x AS (SELECT 1) DELETE FROM runs",
    "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
    "CREATE TEMP TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
    "CREATE VIRTUAL TABLE x USING fts5(a)",
    "CREATE INDEX x ON runs (id)",
    "ALTER TABLE runs RENAME TO gone",
    "ALTER TABLE runs DROP COLUMN reason",
    "DROP INDEX ix_series_all",
    "SELECT writefile('copy.db', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "SELECT * FROM pragma_journal_mode; PRAGMA query_only = OFF",
    "EXPLAIN SELECT 1; DELETE FROM runs",
]
WRITES_POSTGRESQL = [
    "WITH gone AS (DELETE FROM runs RETURNING id) SELECT * FROM gone",
    "SELECT nextval('sweeps_id_seq')",
    "DO $$ BEGIN COMMIT; DELETE FROM points; END $$",
    "SELECT 1; COMMIT; SET TRANSACTION READ WRITE; DELETE FROM runs",
    "LOCK TABLE runs IN EXCLUSIVE MODE",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "COMMIT",
    "COPY (SELECT 1) TO PROGRAM 'touch {folder}/written'",
    "COPY runs TO '{folder}/written'",
    "COPY sweeps FROM '/etc/passwd'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_catalog.pg_read_binary_file('PG_VERSION')",
    "SELECT \"pg_read_file\"('PG_VERSION')",
    "SELECT U&\"\\0070g_read_file\"('PG_VERSION')",
    "SELECT * FROM pg_ls_dir('.') AS file",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '{folder}/written')",
    "SELECT set_config('statement_timeout', '0', true), pg_sleep(1)",
    "SELECT query_to_xml('SELECT pg_read_file(''PG_VERSION'')', true, true, '')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT setval('sweeps_id_seq', 1)",
    "SELECT * FROM dblink('', 'DELETE FROM runs') AS t(a int)",
    "SELECT * INTO copy FROM runs",
    "SELECT * FROM runs FOR UPDATE",
    "EXPLAIN ANALYZE DELETE FROM runs",
    "TRUNCATE runs CASCADE",
    "VACUUM",
    "PREPARE x AS DELETE FROM runs",
    "CALL x()",
    "LISTEN x",
    "RESET ALL",
    "SET ROLE postgres",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_catalog.pg_shadow",
    "SELECT * FROM pg_hba_file_rules",
    "GRANT ALL ON runs TO PUBLIC",
    "not SQL at all",
    "SELECT 'unfinished",
]


@pytest.mark.parametrize("text", WRITES + WRITES_SQLITE)
@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_sql_cannot_write(
    filled: Database, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = runs(filled)
    with pytest.raises(QueryError, match="refused the statement"):
        sql(filled, text)
    assert runs(filled).equals(before)
    assert not {"other.db", "copy.db"} & {path.name for path in tmp_path.iterdir()}
    with filled.write() as connection:  # the connection can write again afterwards
        connection.exec_driver_sql("UPDATE runs SET attempt = attempt")


@pytest.mark.parametrize("text", WRITES + WRITES_POSTGRESQL)
@pytest.mark.parametrize("target", ["postgresql"], indirect=True)
def test_sql_cannot_write_on_postgresql(filled: Database, text: str, tmp_path: Path) -> None:
    before = runs(filled)
    tmp_path.chmod(0o777)
    with pytest.raises(QueryError, match="refused the statement"):
        sql(filled, text.replace("{folder}", str(tmp_path)))
    assert runs(filled).equals(before)
    assert not list(tmp_path.iterdir())
    with filled.write() as connection:  # the connection can write again afterwards
        connection.exec_driver_sql("UPDATE runs SET attempt = attempt")


@pytest.mark.parametrize("target", ["postgresql"], indirect=True)
def test_sql_on_postgresql_gives_what_sqlite_would(filled: Database) -> None:
    row = sql(filled, "SELECT sum(n), avg(n), max(value), 'a%' FROM curves").iloc[0].tolist()
    assert row == [376, 376 / 17, 1.0, "a%"]
    assert sql(filled, "SELECT facts FROM studies WHERE id = 'b'").iloc[0, 0] == (
        '{"num_classes": 10}'
    )
    assert sql(filled, "SELECT hparams ->> 'lr' AS lr FROM v_runs ORDER BY 1")["lr"][0] == "0.1"


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_sql_reads_what_sqlite_can(filled: Database, tmp_path: Path) -> None:
    ones = "SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3"
    text = f"WITH RECURSIVE n(i) AS ({ones}) SELECT * FROM n"
    assert sql(filled, text)["i"].tolist() == [1, 2, 3]
    text = "SELECT json_extract(hparams, '$.lr') AS lr FROM v_runs WHERE run LIKE '%' ORDER BY lr"
    assert sql(filled, text)["lr"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert sql(filled, "SELECT key FROM runs, json_each(hparams)")["key"].value_counts()["lr"] == 5
    with pytest.raises(QueryError, match="no such column: nope"):
        sql(filled, "SELECT nope FROM runs")
    with pytest.raises(QueryError, match=r"no rows|one statement"):
        sql(filled, "")
    with open_database(tmp_path / "runs.db", read_only=True) as db:
        assert len(sql(db, "SELECT * FROM v_pairs")) == 5


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_sql_ends_in_time(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawsql, "SECONDS", 1)
    with pytest.raises(QueryError, match="refused the statement"):
        sql(filled, ENDLESS)
    assert len(sql(filled, "SELECT * FROM v_pairs")) == 5


def test_ctrl_c_ends_sql(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawsql, "SECONDS", 30)  # if it does not, the test fails soon
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    stop = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    try:
        stop.start()
        with pytest.raises(KeyboardInterrupt):
            sql(filled, ENDLESS)
    finally:
        stop.join()
        signal.signal(signal.SIGINT, before)
    assert len(sql(filled, "SELECT * FROM v_pairs")) == 5


def test_selection_by_each_rule(filled: Database) -> None:
    frame = pairs(filled)
    chosen = select(frame)
    assert list(chosen["optimizer"]) == ["adam", "sgd"], "a group with no candidate is kept"
    assert chosen["run"][0] == TRIALS[1].id
    assert chosen["run"].isna()[1]
    assert math.isnan(chosen["ood"][1])
    names = ["completed", "diverged", "failed", "waiting", "n_candidates"]
    assert chosen[names].to_numpy().tolist() == [[2, 1, 0, 1, 2], [0, 0, 1, 0, 0]]
    assert set(chosen["rule"]) == {"id_val"}
    oracle = select(frame, "oracle")
    assert oracle["run"][0] == TRIALS[0].id
    assert set(oracle["rule"]) == {"oracle"}
    best = pairs(filled, checkpoint="best_id_val")
    assert select(best)["run"][0] == TRIALS[0].id
    assert select(frame, by=["dataset"])["waiting"].tolist() == [1]


def test_selection_never_reads_the_test_environments(filled: Database) -> None:
    frame = pairs(filled)
    hidden = frame.assign(ood_test=0.0, oracle_val=-frame["oracle_val"], ood=0.0, ood_val=0.0)
    assert select(hidden)["run"][0] == select(frame)["run"][0]


def test_selection_refuses_what_it_cannot_do(filled: Database) -> None:
    with pytest.raises(UnknownNameError, match=r"rule 'ood'.*Allowed: id_val, leave_one_env"):
        select(pairs(filled), "ood")
    with pytest.raises(QueryError, match="needs the columns id_val"):
        select(runs(filled))


def test_settings_are_text_that_conditions_can_name(db: Database) -> None:
    trials = [make_trial(0), make_trial(1, model_options={"width": 8, "depth": 3})]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    frame = pairs(db)
    assert frame["model_options"].isna().tolist() == [True, False]
    assert frame["model_options"][1] in ('{"width":8,"depth":3}', '{"depth":3,"width":8}')
    assert set(frame["batch"]) == {json.dumps(dict(trials[0].batch), separators=(",", ":"))}
    text = frame["model_options"][1]
    assert pairs(db, f"model_options = '{text}'")["run"].tolist() == [trials[1].id]
    assert pairs(db, "model_options is null")["run"].tolist() == [trials[0].id]


def test_what_runs_cost(db: Database) -> None:
    """A run of its own, one whose replicas were simulated, and one on processes, over 2 GiB."""
    trials = [make_trial(i) for i in range(3)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    alone = {"gradient_evaluations": 40, "examples_per_step": 25}
    counts = {"samples": 1500, "all_reduces": 9, "bytes": 2**33}
    simulated = dict.fromkeys(("compute_seconds", "communication_seconds", "waiting_seconds"))
    measured = {"compute_seconds": 2.0, "communication_seconds": 0.5, "waiting_seconds": 0.25}
    hows = [alone, *({**alone, "parallel": {**counts, **s}} for s in (simulated, measured))]
    claims = claim(db, "worker", size=3, lease=60)
    store_runs(
        db,
        [(c, make_record(c.trial, provenance=how)) for c, how in zip(claims, hows, strict=True)],
    )
    for frame in (runs(db), pairs(db), sql(db, "SELECT * FROM v_pairs ORDER BY position")):
        whole = frame[["samples", "all_reduces", "communicated_bytes"]].astype("Int64")
        assert whole.to_numpy(na_value=-1).tolist() == [
            [1000, -1, -1],
            [1500, 9, 2**33],
            [1500, 9, 2**33],
        ]
        seconds = frame[list(measured)].astype("float64")
        assert seconds.isna().all(axis=1).tolist() == [True, True, False]
        assert seconds.iloc[2].to_dict() == measured
    assert list(runs(db, where="communication_seconds > 0.4 and all_reduces = 9")["run"]) == [
        trials[2].id
    ]
