"""Many processes on one database: nothing is done twice, and nothing is lost."""

import random
import time
from typing import Any

from results_helpers import WORKERS, at_once, make_record, make_study, make_trial

from oodbench.results import (
    abandon,
    add_sweep,
    check_database,
    claim,
    is_done,
    open_database,
    release,
    renew,
    runs,
    sql,
    state_counts,
    store_runs,
)


def plan_of(number: int, n: int = 40) -> list[Any]:
    trials = [make_trial(i, algorithm=("erm", "irm")[i % 2]) for i in range(n)]
    return [make_study(trials[:: 1 if number % 2 else -1], f"study {number}")]


def work_badly(target: str, number: int) -> list[str]:
    """Claim and store, but die now and then, give back now and then, and come too late."""
    draw, stored = random.Random(number), []
    with open_database(target) as db:
        for life in range(10_000):
            owner = f"{number}.{life}"
            claims = claim(db, owner, sweep="sweep 0", size=draw.randint(1, 9), lease=60)
            if not claims:
                if is_done(db, "sweep 0"):
                    return stored
                time.sleep(0.01)
                continue
            what = draw.random()
            if what < 0.12 and claims[0].attempt < 3:  # so that none is given up
                assert abandon(db, owner) == len(claims)  # a death that a supervisor saw
                if what > 0.06:
                    continue
            elif what < 0.2:
                assert release(db, claims) == {item.run for item in claims}
                assert renew(db, claims, 60) == set()
                continue
            elif what < 0.5:
                assert renew(db, claims, 60) == {item.run for item in claims}
            point = (100, "e0", "id_val", 0.5, 10)
            results = [(item, make_record(item.trial, point)) for item in claims]
            refused = store_runs(db, results)
            stored += [item.run for item in claims if item.run not in refused]
    raise AssertionError("it never ends")


def test_every_run_is_stored_once_whatever_happens_to_workers(target: str) -> None:
    with open_database(target) as db:
        add_sweep(db, "sweep 0", {}, plan_of(1, 150))
    stored = [run for mine in at_once(work_badly, target) for run in mine]
    assert len(stored) == len(set(stored)) == 150
    with open_database(target) as db:
        assert state_counts(db)["completed"] == 150
        assert len(sql(db, "SELECT * FROM curves")) == 150
    assert check_database(target).problems == ()


def take(target: str, number: int) -> list[list[str]]:
    taken = []
    with open_database(target) as db:
        for _ in range(8):
            claims = claim(db, f"worker {number}", size=32, lease=60)
            taken.append([item.run for item in claims])
            assert {item.attempt for item in claims} <= {2}
    return taken


def test_lost_cohorts_are_halved_also_by_many_at_once(target: str) -> None:
    with open_database(target) as db:
        add_sweep(db, "sweep", {}, [make_study([make_trial(i) for i in range(32)])])
        assert len(claim(db, "dead", size=32, lease=60)) == 32
        assert abandon(db, "dead") == 32
    cohorts = [cohort for mine in at_once(take, target) for cohort in mine if cohort]
    assert max(map(len, cohorts)) <= 16
    everything = [run for cohort in cohorts for run in cohort]
    assert len(everything) == len(set(everything)) == 32
    with open_database(target) as db:
        sizes = sql(db, "SELECT cohort_size, count(*) AS n FROM runs GROUP BY cohort_size")
    assert all(n % size == 0 for size, n in sizes.itertuples(index=False))


def give_up(target: str, number: int) -> int:
    with open_database(target) as db:
        return len(claim(db, f"worker {number}", size=8, lease=60))


def test_killers_are_given_up_by_many_at_once(target: str) -> None:
    with open_database(target) as db:
        add_sweep(db, "sweep", {}, [make_study([make_trial(i) for i in range(40)])])
        with db.write() as connection:
            connection.exec_driver_sql(
                "UPDATE runs SET state = 'running', owner = 'x', attempt = 25, cohort_size = 1, "
                "lease = 1.0, started = 1.0"
            )
    assert at_once(give_up, target) == [0] * WORKERS
    with open_database(target) as db:
        assert state_counts(db)["failed"] == 40
        assert runs(db)["reason"].str.contains("worker x").all()


def plan(target: str, number: int) -> int:
    with open_database(target, create=True) as db:
        return add_sweep(db, f"sweep {number // 2}", {}, plan_of(number)).new_runs


def test_processes_create_a_database_and_add_sweeps_at_once(nothing: str) -> None:
    new = at_once(plan, nothing)
    assert sorted(new) == [0] * (WORKERS - 1) + [40], "sweeps that share runs, in other orders"
    with open_database(nothing) as db:
        assert sorted(runs(db)["position"]) == list(range(40))
        assert sql(db, "SELECT count(*) AS n FROM sweeps")["n"].tolist() == [WORKERS // 2]
        assert sql(db, "SELECT count(*) AS n FROM study_trials")["n"].tolist() == [WORKERS * 40]
    assert check_database(nothing).problems == ()
