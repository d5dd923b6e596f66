"""What a look at a database that is being filled tells: what ended since, and who holds what."""

import time

from results_helpers import make_record, make_study, make_trial

from oodbench.results import (
    Database,
    add_sweep,
    claim,
    ended,
    holdings,
    release,
    retry,
    sizes,
    store_runs,
)


def add(db: Database, name: str = "one", n: int = 4, first: int = 0) -> None:
    trials = [make_trial(i) for i in range(first, first + n)]
    add_sweep(db, name, {}, [make_study(trials, f"study {name}")])


def end(db: Database, claims, status: str = "completed") -> None:
    points = [(100, "e", "id_val", 0.5, 10), (100, "o", "ood_test", 0.25, 10)]
    records = [make_record(item.trial, *points, status=status) for item in claims]
    assert store_runs(db, list(zip(claims, records, strict=True))) == []


def test_sizes_change_with_all_that_happens(db: Database) -> None:
    seen = [sizes(db)[1]]
    add(db)
    seen.append(sizes(db)[1])
    claims = claim(db, "host:worker-0:1", size=2, lease=60)
    seen.append(sizes(db)[1])
    end(db, claims[:1])
    seen.append(sizes(db)[1])
    end(db, claims[1:], "failed")
    seen.append(sizes(db)[1])
    retry(db, "one")
    seen.append(sizes(db)[1])
    assert seen == [
        {"studies": 0},
        {"studies": 1, "waiting": 4},
        {"studies": 1, "waiting": 2, "running": 2},
        {"studies": 1, "waiting": 2, "running": 1, "completed": 1},
        {"studies": 1, "waiting": 2, "completed": 1, "failed": 1},
        {"studies": 1, "waiting": 3, "completed": 1},
    ]
    assert sizes(db)[1] == seen[-1]
    assert abs(sizes(db)[0] - time.time()) < 60


def test_what_ended_is_told_with_its_attempt_and_times(db: Database) -> None:
    add(db)
    add(db, "two", first=10)
    claims = claim(db, "a:worker-0:1", size=2, lease=60, sweep="one")
    end(db, claims[:1], "diverged")
    [first] = ended(db)
    assert (first.run, first.status, first.attempt) == (claims[0].run, "diverged", 1)
    assert first.started <= first.finished
    with db.write() as connection:  # long ago
        connection.exec_driver_sql("UPDATE runs SET finished = 1000.0 WHERE state = 'diverged'")
    end(db, claims[1:])
    [second] = ended(db, since=2000.0)
    assert second.run == claims[1].run
    assert len(ended(db)) == 2
    assert [one.run for one in ended(db, since=second.finished)] == [second.run]  # shortly before
    assert ended(db, sweep="two") == []


def test_workers_hold_what_they_claimed_until_it_ends(db: Database) -> None:
    add(db)
    trial = make_trial(20, optimizer="sgd", dataset="Others", test_environments=(0, 1))
    add_sweep(db, "two", {}, [make_study([trial], "study two")])
    mine = claim(db, "b:worker-1:2", size=4, lease=60, sweep="one")
    other = claim(db, "a:4711:3", size=1, lease=-5, sweep="two")
    first, second = holdings(db)
    assert (first.owner, first.runs, first.what) == ("a:4711:3", 1, "Others [0,1], erm, sgd")
    assert (second.owner, second.runs, second.what) == ("b:worker-1:2", 4, "Digits [2], erm, adam")
    at = sizes(db)[0]
    assert first.lease < at < second.lease
    assert [one.owner for one in holdings(db, "one")] == ["b:worker-1:2"]
    end(db, mine[:3])
    release(db, other)
    assert [(one.owner, one.runs) for one in holdings(db)] == [("b:worker-1:2", 1)]
