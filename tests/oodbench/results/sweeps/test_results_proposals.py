"""Studies that grow: one proposer at a time, nothing lost when it dies, nothing added twice."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from results_helpers import WORKERS, at_once, make_record, make_study, make_trial

from oodbench.results import (
    Database,
    abandon,
    add_sweep,
    add_trials,
    cancel,
    check_database,
    claim,
    copy_database,
    counts,
    give_back_study,
    is_done,
    open_database,
    preview_sweep,
    select,
    sql,
    state_counts,
    store_runs,
    take_study,
)
from oodbench.results.query import pairs

AGENDA = {
    "seeds": 1,
    "data": {"fingerprint": "f00d", "examples": 10, "environments": 2},
    "search": {"trials": 5, "startup": 2, "cohort": 2},
    "runs": 5,
}


def growing(name: str = "study", **changes: Any) -> Any:
    """A study to which trials are to be added."""
    values = {"trials": (), "sampler": "tpe", "agenda": AGENDA} | changes
    return replace(make_study([make_trial()], name), **values)


def end(db: Database, value: float = 0.5) -> None:
    """Let everything that waits be trained."""
    claims = claim(db, "trainer", size=100, lease=60)
    point = (100, "e", "id_val", value, 10)
    assert store_runs(db, [(item, make_record(item.trial, point)) for item in claims]) == []


def test_one_holds_a_study_until_its_lease_runs_out(db: Database) -> None:
    add_sweep(db, "s", {}, [growing()])
    held = take_study(db, "me", lease=60)
    assert held is not None
    assert (held.id, held.sweep, held.past) == ("study", "s", ())
    assert held.agenda == AGENDA
    assert take_study(db, "you", lease=60) is None
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE studies SET proposer_lease = 1.0")
    assert take_study(db, "you", lease=60) is not None
    late = add_trials(db, "me", "study", [(make_trial(1), "tpe")], AGENDA)
    assert not late
    assert add_trials(db, "you", "study", [(make_trial(2), "tpe")], AGENDA)
    assert sql(db, "SELECT sampler FROM study_trials")["sampler"].tolist() == ["tpe"]
    assert take_study(db, "me", lease=60) is not None


@pytest.mark.parametrize("free", [abandon, give_back_study])
def test_a_proposer_that_ends_leaves_the_study_to_others(
    db: Database, free: Callable[[Database, str], int]
) -> None:
    add_sweep(db, "s", {}, [growing()])
    assert take_study(db, "dead", lease=600) is not None
    free(db, "somebody else")
    assert take_study(db, "me", lease=60) is None
    free(db, "dead")
    assert take_study(db, "me", lease=60) is not None


def test_the_study_with_the_fewest_unfinished_runs_comes_first(db: Database) -> None:
    add_sweep(db, "s", {}, [growing("a"), growing("b")])
    assert take_study(db, "me", lease=60).id == "a"
    assert add_trials(db, "me", "a", [(make_trial(1), "tpe")], AGENDA)
    assert take_study(db, "me", lease=60).id == "b"
    assert take_study(db, "you", lease=60, idle=True) is None  # a run of a is unfinished
    assert take_study(db, "you", lease=60).id == "a"


def test_what_is_known_of_a_study_comes_in_the_order_in_which_it_was_added(db: Database) -> None:
    add_sweep(db, "s", {}, [growing()])
    take_study(db, "me", lease=60)
    add_trials(db, "me", "study", [(make_trial(3), "random"), (make_trial(1), "tpe")], AGENDA)
    end(db, 0.75)
    take_study(db, "me", lease=60)
    add_trials(db, "me", "study", [(make_trial(2), "tpe")], AGENDA)
    past = take_study(db, "me", lease=60).past
    assert [item.trial for item in past] == [make_trial(3), make_trial(1), make_trial(2)]
    assert [item.sampler for item in past] == ["random", "tpe", "tpe"]
    assert [item.state for item in past] == ["completed", "completed", "waiting"]
    assert [item.scores.get("id_val") for item in past] == [0.75, 0.75, None]


def test_what_is_to_come_counts_as_waiting_until_the_study_is_closed(db: Database) -> None:
    plan = [growing()]
    assert preview_sweep(None, plan).later_runs == 5
    add_sweep(db, "s", {}, plan)
    assert state_counts(db)["waiting"] == 5
    assert not is_done(db, "s")
    take_study(db, "me", lease=60)
    add_trials(db, "me", "study", [(make_trial(1), "tpe"), (make_trial(2), "tpe")], AGENDA)
    end(db)
    assert state_counts(db, "s")["waiting"] == 3
    row = counts(db).iloc[0]
    assert (row["waiting"], row["completed"], row["total"]) == (3, 2, 5)
    added = preview_sweep(db, plan)
    assert (added.runs, added.new_runs, added.known_runs, added.later_runs) == (5, 0, 2, 3)
    take_study(db, "me", lease=60)
    assert add_trials(db, "me", "study", [], None)
    assert is_done(db, "s")
    assert is_done(db)
    assert state_counts(db)["waiting"] == 0
    assert take_study(db, "me", lease=60) is None
    assert add_sweep(db, "s", {}, plan).later_runs == 3  # asked for again
    assert not is_done(db, "s")


def test_a_cancelled_sweep_does_not_grow(db: Database) -> None:
    add_sweep(db, "s", {}, [growing()])
    assert cancel(db, "s") == 0
    assert is_done(db, "s")
    assert take_study(db, "me", lease=60) is None


def test_a_copy_is_in_nobodys_hands_and_grows_on(db: Database, tmp_path: Any) -> None:
    add_sweep(db, "s", {}, [growing()])
    take_study(db, "me", lease=600)
    copy_database(db.url, tmp_path / "copy.db")
    with open_database(tmp_path / "copy.db") as copy:
        assert take_study(copy, "you", lease=60).agenda == AGENDA


def test_repeats_of_a_winner_are_no_candidates(db: Database) -> None:
    add_sweep(db, "s", {}, [growing()])
    take_study(db, "me", lease=60)
    add_trials(db, "me", "study", [(make_trial(1), "tpe")], AGENDA)
    end(db, 0.6)
    take_study(db, "me", lease=60)
    add_trials(db, "me", "study", [(make_trial(1, seed=99), "confirm")], None)
    end(db, 0.9)
    frame = pairs(db)
    assert sorted(frame["sampler"]) == ["confirm", "tpe"]
    best = select.select(frame).iloc[0]
    assert (best["run"], best["id_val"], best["completed"]) == (make_trial(1).id, 0.6, 1)
    assert sql(db, "SELECT run FROM v_best")["run"].tolist() == [make_trial(1).id]


def propose_until_done(target: str, number: int) -> list[str]:
    added: list[str] = []
    with open_database(target) as db:
        for turn in range(1000):
            owner = f"{number}.{turn}"
            study = take_study(db, owner, lease=60)
            if study is None:
                if sql(db, "SELECT id FROM studies WHERE agenda IS NOT NULL").empty:
                    return added
                time.sleep(0.01)
                continue
            if turn % 3 == 2:
                abandon(db, owner)  # it dies while it thinks
                continue
            there = len(study.past)
            new = [(make_trial(10_000 * number + turn), "tpe")][: 40 - there]
            agenda = {**AGENDA, "search": {"trials": 40}, "runs": 40}
            left = agenda if there + len(new) < 40 else None
            if add_trials(db, owner, study.id, new, left):
                added += [trial.id for trial, _ in new]
    raise AssertionError("it never ends")


def test_many_proposers_at_once_add_exactly_what_is_wanted(target: str) -> None:
    with open_database(target) as db:
        agenda = {**AGENDA, "search": {"trials": 40}, "runs": 40}
        add_sweep(db, "s", {}, [growing(agenda=agenda)])
    added = [run for mine in at_once(propose_until_done, target, WORKERS) for run in mine]
    with open_database(target) as db:
        links = sql(db, "SELECT idx, run_id FROM study_trials ORDER BY idx")
        assert links["idx"].tolist() == list(range(40))
        assert sorted(links["run_id"]) == sorted(added)
        end(db)
        assert state_counts(db)["completed"] == 40
    assert check_database(target).problems == ()
