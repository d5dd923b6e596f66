"""Claiming, holding, losing and giving back runs."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from results_helpers import make_record, make_study, make_trial
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql

from oodbench.errors import UnknownNameError
from oodbench.results import (
    Claim,
    Database,
    abandon,
    add_sweep,
    claim,
    counts,
    excuse,
    is_done,
    load_run,
    open_database,
    release,
    renew,
    runs,
    state_counts,
    store_runs,
)
from oodbench.results.queue import _lost, _take
from oodbench.results.schema import now
from oodbench.results.schema import runs as table


def fill(db: Database, n: int, name: str = "sweep", **changes: object) -> list[str]:
    trials = [make_trial(number, **changes) for number in range(n)]
    add_sweep(db, name, {}, [make_study(trials, f"study of {name}")])
    return [trial.id for trial in trials]


def ids(claims: list[Claim]) -> list[str]:
    return [item.run for item in claims]


def store(db: Database, claims: list[Claim]) -> list[str]:
    return store_runs(db, [(item, make_record(item.trial)) for item in claims])


def test_runs_are_claimed_in_order_and_once(db: Database) -> None:
    order = fill(db, 5)
    first, second, third = (claim(db, owner, size=2, lease=60) for owner in ("a", "b", "a"))
    assert ids(first) + ids(second) + ids(third) == order
    assert claim(db, "c", size=2, lease=60) == []
    assert (first[0].owner, first[0].attempt) == ("a", 1)
    assert first[0].trial == make_trial(0)
    assert state_counts(db) == {
        "waiting": 0,
        "running": 5,
        "completed": 0,
        "diverged": 0,
        "failed": 0,
    }


def test_a_cohort_has_one_shape(db: Database) -> None:
    trials = [make_trial(i, algorithm="irm" if i in (1, 2) else "erm") for i in range(5)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    found = [ids(claim(db, "a", size=8, lease=60)) for _ in range(2)]
    assert found == [[trials[i].id for i in (0, 3, 4)], [trials[i].id for i in (1, 2)]]


def test_a_limit_holds_for_its_cohort_key_alone(db: Database) -> None:
    small, large = make_trial(0), make_trial(0, batch={"per_environment": 64})
    trials = [make_trial(i, batch=trial.batch) for trial in (small, large) for i in range(4)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    limits = {large.cohort_key: 2, small.cohort_key: 9}
    taken = [len(claim(db, "a", size=4, lease=60, limits=limits)) for _ in range(4)]
    assert taken == [4, 2, 2, 0]


def test_only_the_named_sweep_is_claimed(db: Database) -> None:
    fill(db, 2, "first")
    second = fill(db, 3, "second", dataset="Other")
    assert ids(claim(db, "a", sweep="second", size=8, lease=60)) == second
    assert not is_done(db, "second")
    with pytest.raises(UnknownNameError, match=r"unknown sweep 'secnd'. Did you mean 'second'"):
        claim(db, "a", sweep="secnd", size=8, lease=60)


def test_threads_never_get_the_same_run(tmp_path: Path) -> None:
    path, taken = tmp_path / "runs.db", []
    with open_database(path, create=True) as db:
        order = fill(db, 200)

    def work(owner: str) -> None:
        draw = random.Random(owner)
        with open_database(path) as mine:
            while claims := claim(mine, owner, size=draw.randint(1, 7), lease=60):
                taken.extend(ids(claims))
                assert store(mine, claims) == []

    threads = [threading.Thread(target=work, args=(f"worker {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(order)
    with open_database(path) as db:
        assert is_done(db)
        assert state_counts(db)["completed"] == 200


def test_the_clock_is_the_databases(db: Database) -> None:
    with db.read() as connection:
        assert connection.scalar(select(now())) == pytest.approx(time.time(), abs=1)


def test_a_renewed_lease_holds(db: Database) -> None:
    fill(db, 2)
    claims = claim(db, "a", size=2, lease=-1)
    assert renew(db, claims, 60) == set(ids(claims))
    assert claim(db, "b", size=2, lease=60) == []
    assert renew(db, [], 60) == set()


def test_a_lost_lease_is_not_renewed_and_its_result_is_refused(
    db: Database, expire: Callable[[], None]
) -> None:
    fill(db, 1)
    late = claim(db, "a", size=1, lease=60)
    expire()
    prompt = claim(db, "a", size=1, lease=60)  # the same name: only the attempt tells them apart
    assert prompt[0].attempt == 2
    assert renew(db, late, 60) == set()
    assert release(db, late) == set()
    assert store(db, late) == ids(late)
    assert store(db, prompt) == []
    assert store(db, prompt) == ids(prompt), "never twice"
    assert load_run(db, prompt[0].run).status == "completed"


@pytest.fixture
def jump(db: Database) -> Callable[[float], None]:
    """Let the database's clock jump by so many seconds: only leases are compared with it."""

    def jumping(seconds: float) -> None:
        with db.write() as connection:
            connection.execute(update(table).values(lease=table.c.lease - seconds))

    return jumping


def test_a_clock_that_jumps_forward_ends_leases_and_nothing_is_stored_twice(
    db: Database, jump: Callable[[float], None]
) -> None:
    fill(db, 4)
    late = claim(db, "late", size=4, lease=60)
    jump(3600)
    taken = claim(db, "other", size=4, lease=60)
    assert ids(taken) == ids(late)[:2]
    assert renew(db, late, 60) == set(ids(late)[2:]), "those that nobody has taken are kept"
    assert claim(db, "third", size=4, lease=60) == []
    assert store(db, late) == ids(taken)
    assert store(db, taken) == []
    assert state_counts(db)["completed"] == 4


def test_a_clock_that_jumps_backward_keeps_only_the_runs_of_the_dead(
    db: Database, jump: Callable[[float], None]
) -> None:
    fill(db, 3)
    live, dead = (claim(db, owner, size=1, lease=60) for owner in ("live", "dead"))
    jump(-3600)
    assert renew(db, live, 60) == set(ids(live))
    jump(61)  # a minute later: a renewed lease is as long as ever, the other an hour longer
    assert ids(claim(db, "a", size=1, lease=60)) == ids(live)
    assert ids(claim(db, "b", size=1, lease=60)) not in ([], ids(dead))
    assert claim(db, "c", size=1, lease=60) == []
    assert abandon(db, "dead") == 1  # as the supervisor on its machine says
    assert ids(claim(db, "c", size=1, lease=60)) == ids(dead)


def test_a_late_result_is_stored_if_nobody_took_over(
    db: Database, expire: Callable[[], None]
) -> None:
    fill(db, 1)
    claims = claim(db, "a", size=1, lease=60)
    expire()
    assert store(db, claims) == []


def test_released_runs_wait_again_as_if_untouched(db: Database) -> None:
    order = fill(db, 3)
    claims = claim(db, "a", size=2, lease=60)
    assert release(db, claims) == set(order[:2])
    again = claim(db, "b", size=3, lease=60)
    assert ids(again) == order
    assert {item.attempt for item in again} == {1}


def test_lost_runs_come_back_in_halved_cohorts_apart_from_fresh_ones(
    db: Database, expire: Callable[[], None]
) -> None:
    order = fill(db, 10)
    claim(db, "a", size=7, lease=60)
    expire()
    cohorts = [ids(claim(db, "b", size=32, lease=60)) for _ in range(4)]
    assert cohorts == [order[0:3], order[3:6], order[6:7], order[7:10]]


def test_released_suspects_stay_apart(db: Database, expire: Callable[[], None]) -> None:
    order = fill(db, 6)
    claim(db, "a", size=4, lease=60)
    expire()
    release(db, claim(db, "b", size=4, lease=60))
    again = claim(db, "c", size=4, lease=60)
    assert ids(again) == order[:2]
    assert {item.attempt for item in again} == {2}


def test_runs_of_a_worker_that_is_known_to_be_dead_are_lost_at_once(db: Database) -> None:
    order = fill(db, 5)
    dead, alive = claim(db, "dead", size=4, lease=60), claim(db, "alive", size=4, lease=60)
    assert store(db, dead[:1]) == []
    assert abandon(db, "dead") == 3
    assert abandon(db, "nobody") == 0
    assert [ids(claim(db, "b", size=8, lease=60)) for _ in range(3)] == [order[1:3], order[3:4], []]
    assert store(db, dead) == ids(dead), "others have them, or have stored them"
    assert store(db, alive) == []


def test_a_trial_that_kills_its_worker_is_found_and_its_neighbours_finish(
    db: Database, expire: Callable[[], None]
) -> None:
    order = fill(db, 16)
    killer, deaths = order[11], 0
    while claims := claim(db, f"worker {deaths}", size=8, lease=60):
        if killer in ids(claims):
            deaths += 1
            expire()
        else:
            assert store(db, claims) == []
    assert deaths == 3 + 9, "in cohorts of 8, 4 and 2, and alone, as one other run was: 3^-9"
    result = runs(db).set_index("run")
    assert result.loc[killer, "status"] == "failed"
    reason = "died each of the 9 times it was trained alone, of 12 times in all (worker worker 11)"
    assert reason in result.loc[killer, "reason"]
    assert "see that worker's log" in result.loc[killer, "reason"]
    assert set(result.drop(index=killer)["status"]) == {"completed"}
    assert is_done(db)


@pytest.mark.parametrize(("others", "deaths"), [(0, 14), (1, 9), (30, 3)])
def test_deaths_alone_are_forgiven_until_chance_does_not_explain_them(
    db: Database, expire: Callable[[], None], others: int, deaths: int
) -> None:
    """With as many others that were trained alone, and lived: 2^-14, 3^-9, 32^-3."""
    fill(db, others + 1)
    for _ in range(others):
        store(db, claim(db, "a", size=1, lease=60))
    attempts = []
    while claims := claim(db, "a", size=1, lease=60):
        attempts.append(claims[0].attempt)
        expire()
    assert attempts == [*range(1, deaths + 1)]
    assert state_counts(db)["failed"] == 1


def test_deaths_count_again_from_the_last_time_a_run_got_further(
    db: Database, expire: Callable[[], None]
) -> None:
    fill(db, 1)
    for attempt in range(1, 6):  # five deaths, each after a checkpoint
        (held,) = claim(db, "a", size=1, lease=60)
        assert held.attempt == attempt
        assert excuse(db, held)
        expire()
    in_vain = 0
    while claim(db, "b", size=1, lease=60):
        in_vain += 1
        expire()
    assert in_vain == 14
    assert not excuse(db, held)
    (reason,) = runs(db)["reason"]
    assert "died each of the 14 times it was trained alone, of 19 times in all (worker b)" in reason


def test_only_who_holds_a_run_excuses_it(db: Database, expire: Callable[[], None]) -> None:
    fill(db, 1)
    (late,) = claim(db, "a", size=1, lease=60)
    expire()
    claim(db, "a", size=1, lease=60)  # the same owner, another attempt
    assert not excuse(db, late)
    with db.read() as connection:
        assert connection.scalar(select(table.c.excused)) == 0


def test_a_claim_that_is_given_back_takes_its_excuse_along(
    db: Database, expire: Callable[[], None]
) -> None:
    fill(db, 1)
    for _ in range(3):  # preempted three times: no attempt and no excuse is left
        (held,) = claim(db, "a", size=1, lease=60)
        assert excuse(db, held)
        release(db, [held])
    attempts = 0
    while claim(db, "a", size=1, lease=60):
        attempts += 1
        expire()
    assert attempts == 14


def test_counts_follow_the_plan(db: Database) -> None:
    erm = [make_trial(i) for i in range(3)]
    irm = [make_trial(i, algorithm="irm", test_environments=(0, 1)) for i in range(2)]
    add_sweep(db, "sweep", {}, [make_study(irm, "two"), make_study([*erm, erm[0]], "one")])
    add_sweep(db, "other", {}, [make_study(erm[:1], "shared")])
    store(db, claim(db, "a", size=1, lease=60))
    claim(db, "a", size=1, lease=60)
    table = counts(db, "sweep")
    assert list(table["study"]) == ["two", "one"]
    assert list(table["test_environments"]) == ["0,1", "2"]
    numbers = ["waiting", "running", "completed", "diverged", "failed", "total"]
    assert table[numbers].to_numpy().tolist() == [[0, 1, 1, 0, 0, 2], [3, 0, 0, 0, 0, 3]]
    assert len(counts(db)) == 3
    assert state_counts(db, "sweep")["waiting"] == 3
    assert state_counts(db, "other")["waiting"] == 1


def test_the_claim_on_postgresql_locks_without_waiting() -> None:
    statements = []

    class Recorder:
        def execute(self, statement: object) -> "Recorder":
            statements.append(str(statement.compile(dialect=postgresql.dialect())))  # type: ignore[attr-defined]
            return self

        def all(self) -> list[object]:
            return []

    first = type("Row", (), {"state": "running", "cohort_size": 4, "cohort_key": "k"})
    _take(Recorder(), first, "me", table.c.id != "", 8, 60.0)  # type: ignore[arg-type]
    (text,) = statements
    assert "WITH picked AS MATERIALIZED" in text
    assert "FOR UPDATE SKIP LOCKED" in text
    assert "RETURNING runs.id" in text
    assert "clock_timestamp()" in str(_lost().compile(dialect=postgresql.dialect()))


def test_the_last_runs_of_a_shape_are_divided_among_the_workers(db: Database) -> None:
    trials = [make_trial(i, algorithm="erm" if i < 10 else "irm") for i in range(13)]
    add_sweep(db, "sweep", {}, [make_study(trials)])
    sizes = [len(claim(db, f"worker {i}", size=4, lease=60, peers=2)) for i in range(8)]
    # Of 10, 6, 3, 1 of one shape at most half, and no more than 4; then of the other's 3 and 1.
    assert sizes == [4, 3, 2, 1, 2, 1, 0, 0]
