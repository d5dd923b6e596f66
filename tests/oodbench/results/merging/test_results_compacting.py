"""Making a database smaller: what stays, and what may go."""

import json

import pandas as pd
import pytest
from results_helpers import fill, make_record, make_study, make_trial
from sqlalchemy import text

from oodbench.records import Measurement
from oodbench.results import (
    Database,
    add_sweep,
    check_database,
    claim,
    compact_database,
    curves,
    load_run,
    merge_databases,
    open_database,
    pairs,
    sql,
    store_probes,
    store_runs,
)


@pytest.fixture
def trained(db: Database) -> Database:
    """A run whose best checkpoint is neither its first nor its last one, and a probe of it."""
    add_sweep(db, "sweep", {}, [make_study([make_trial()])])
    (held,) = claim(db, "w", size=1, lease=60)
    scores = {10: 0.5, 20: 0.9, 30: 0.7, 40: 0.8}
    points = [(step, "a", "id_val", value, 9) for step, value in scores.items()]
    points += [(step, "b", "ood_test", value / 2, 9) for step, value in scores.items()]
    store_runs(db, [(held, make_record(held.trial, *points))])
    probe = Measurement(10, "", "train", "train", "sharpness_max", 3.0, 0)
    store_probes(db, {held.run: [probe]})
    return db


def test_only_checkpoints_and_probes_stay_if_asked(trained: Database) -> None:
    before = pairs(trained), pairs(trained, checkpoint="best_id_val")
    done = compact_database(trained.url, drop_curves=True)
    assert (done.rewritten, done.dropped) == (0, 4)
    left = sql(trained, "SELECT step, role, value FROM curves ORDER BY idx").to_numpy().tolist()
    assert left == [
        [20, "id_val", 0.9],
        [40, "id_val", 0.8],
        [20, "ood_test", 0.45],
        [40, "ood_test", 0.4],
        [10, "train", 3.0],
    ]
    after = pairs(trained), pairs(trained, checkpoint="best_id_val")
    for one, other in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert check_database(trained.url).problems == ()
    assert compact_database(trained.url, drop_curves=True).dropped == 0


def test_a_compacted_database_still_merges_with_the_whole_one(
    trained: Database, nothing: str
) -> None:
    merge_databases(nothing, [trained.url])
    compact_database(nothing, drop_curves=True)
    (merged,) = merge_databases(nothing, [trained.url]).sources
    assert (merged.known, merged.kept, merged.problem) == (1, 0, "")
    with trained.write() as connection:
        connection.exec_driver_sql("UPDATE points SET value = 0.75 WHERE step = 40")
    (merged,) = merge_databases(nothing, [trained.url]).sources
    assert "another result" in merged.problem


def test_whole_trials_and_provenance_of_older_schemas_are_stored_in_parts(db: Database) -> None:
    fill(db)
    finished = sql(db, "SELECT id FROM runs WHERE finished IS NOT NULL")["id"]
    before = {run: load_run(db, run) for run in finished}
    with db.write() as connection:  # as oodbench stored them before schema 0008
        for run, record in before.items():
            connection.execute(
                text("UPDATE runs SET provenance = :p, trial = :t, origin = NULL WHERE id = :id"),
                {
                    "p": json.dumps(record.provenance),
                    "t": json.dumps(record.trial.to_json()),
                    "id": run,
                },
            )
    kept = [curves(db, run) for run in before]
    assert compact_database(db.url).rewritten == 4
    for measured, (run, record) in zip(kept, before.items(), strict=True):
        again = load_run(db, run)
        assert again.trial.to_json() == record.trial.to_json()
        assert again.provenance == record.provenance
        pd.testing.assert_frame_equal(curves(db, run), measured)
    trial = sql(db, f"SELECT trial FROM runs WHERE id = '{finished[0]}'")["trial"][0]
    assert json.loads(trial) == {"evaluate_every": 50}
    assert check_database(db.url).problems == ()


def test_space_is_given_back(sqlite: str) -> None:
    with open_database(sqlite) as db:
        fill(db)
        with db.write() as connection:
            connection.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(1000000) AS x")
            connection.exec_driver_sql("DROP TABLE big")
    done = compact_database(sqlite)
    assert done.before is not None
    assert done.after is not None
    assert done.before - done.after > 900_000
