"""Trying runs again, and cancelling those that wait."""

from collections.abc import Callable

import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench.errors import UnknownNameError
from oodbench.records import RunRecord
from oodbench.results import (
    Claim,
    Database,
    add_sweep,
    cancel,
    claim,
    counts,
    curves,
    is_done,
    release,
    retry,
    runs,
    sql,
    state_counts,
    store_runs,
)

TRIALS = [make_trial(i) for i in range(6)]
POINT = (100, "e0", "id_val", 0.5, 10)


def finish(db: Database, *statuses: str) -> list[Claim]:
    """Store the first runs in line with these statuses."""
    claims = claim(db, "worker", size=len(statuses), lease=60)
    reasons = {"completed": "", "diverged": "Not finite.", "failed": "No memory."}
    records: list[RunRecord] = [
        make_record(item.trial, POINT, status=status, reason=reasons[status])
        for item, status in zip(claims, statuses, strict=True)
    ]
    assert store_runs(db, list(zip(claims, records, strict=True))) == []
    return claims


@pytest.fixture
def half(db: Database) -> Database:
    """A completed run, a diverged one and a failed one, one that is trained and two that wait."""
    add_sweep(db, "sweep", {}, [make_study(TRIALS)])
    finish(db, "completed", "diverged", "failed")
    claim(db, "busy", size=1, lease=60)
    return db


def test_failed_runs_are_tried_again_as_if_for_the_first_time(half: Database) -> None:
    assert retry(half, "sweep") == 1
    failed = runs(half).set_index("run").loc[TRIALS[2].id]
    assert (failed["status"], failed["reason"], failed["attempt"]) == ("waiting", "", 0)
    assert curves(half, TRIALS[2].id).empty
    assert state_counts(half)["diverged"] == 1
    assert retry(half, "sweep") == 0
    claims = claim(half, "worker", size=9, lease=60)
    assert [item.run for item in claims] == [TRIALS[i].id for i in (2, 4, 5)], "in its old place"
    assert {item.attempt for item in claims} == {1}


def test_diverged_runs_are_tried_again_if_asked(half: Database) -> None:
    assert retry(half, "sweep", ["diverged", "failed"]) == 2
    assert set(sql(half, "SELECT run_id FROM curves")["run_id"]) == {TRIALS[0].id}
    assert state_counts(half)["waiting"] == 4


def test_other_runs_are_not_tried_again(half: Database) -> None:
    with pytest.raises(UnknownNameError, match=r"'completed'.*Allowed: diverged, failed"):
        retry(half, "sweep", ["completed"])
    with pytest.raises(UnknownNameError, match="Did you mean 'sweep'"):
        retry(half, "swep")


def test_a_late_result_of_an_old_attempt_is_refused(
    db: Database, expire: Callable[[], None]
) -> None:
    add_sweep(db, "sweep", {}, [make_study(TRIALS[:1])])
    late = claim(db, "late", size=1, lease=60)
    expire()
    while claim(db, "worker", size=1, lease=60):
        expire()
    assert state_counts(db)["failed"] == 1
    assert retry(db, "sweep") == 1
    claim(db, "other", size=1, lease=60)
    assert store_runs(db, [(late[0], make_record(TRIALS[0], POINT))]) == [TRIALS[0].id]


def test_cancelling_removes_what_waits(half: Database) -> None:
    assert cancel(half, "sweep") == 2
    assert list(runs(half)["status"]) == ["completed", "diverged", "failed", "running"]
    assert counts(half)["total"].tolist() == [4]
    assert len(sql(half, "SELECT * FROM study_trials")) == 4
    assert cancel(half, "sweep") == 0
    assert add_sweep(half, "sweep", {}, [make_study(TRIALS)]).new_runs == 2


def test_cancelling_leaves_what_another_sweep_wants(db: Database) -> None:
    add_sweep(db, "one", {}, [make_study([*TRIALS[:3], TRIALS[0]], "a")])
    add_sweep(db, "two", {}, [make_study(TRIALS[2:4], "b")])
    assert cancel(db, "one") == 2
    assert list(runs(db)["run"]) == [TRIALS[2].id, TRIALS[3].id]
    assert is_done(db, "one")
    assert state_counts(db, "two")["waiting"] == 2
    with pytest.raises(UnknownNameError, match="unknown sweep 'three'"):
        cancel(db, "three")


def test_a_cancelled_run_that_is_given_back_waits(half: Database) -> None:
    (busy,) = claim(half, "busy too", size=1, lease=60)
    assert cancel(half, "sweep") == 1
    assert release(half, [busy]) == {busy.run}
    assert state_counts(half)["waiting"] == 1


def test_thousands_of_runs_at_once(db: Database) -> None:
    trials = [make_trial(i) for i in range(1201)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    assert cancel(db, "sweep") == 1201
    assert runs(db).empty
