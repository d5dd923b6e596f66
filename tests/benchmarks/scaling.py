"""What many workers ask of a database: requests a second, connections, bytes a run, size.

Workers here do not train. Times are medians; processes share this machine with the server.
"""

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from postgres_server import MISSING, find_programs

from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import (
    Database,
    add_sweep,
    claim,
    counts,
    open_database,
    release,
    renew,
    state_counts,
    store_runs,
)
from oodbench.sweep.plan import plan
from oodbench.workers.lease import Lease
from tests.benchmarks.queue_load import load, postgresql, record

SWEEP: dict[str, Any] = {
    "name": "scaling",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": 500},
    "train": {"steps": 300, "batch": {"per_environment": 64}, "evaluate_every": 100},
}
SMALL, LARGE = 1_000, 50_000
"""Runs in the database."""
WORKERS = (1, 8, 64)
AT_ONCE = 8
"""Processes that renew, or whose connections are counted."""
SECONDS = 5.0

Row = dict[str, object]


def measure() -> Iterator[Row]:
    """A row a number."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:  # /tmp may be in memory
        yield from sizes("SQLite", f"{folder}/sizes.db")
    if find_programs() is None:
        print(MISSING)
        return
    with postgresql() as target:
        yield from sizes("PostgreSQL", target)
        yield from at_once(target)
    for workers in WORKERS:
        with postgresql() as target:
            found = load(target, workers)
        yield row("PostgreSQL", f"claims/s of {workers} workers", found["claims/s"])


def row(database: str, what: str, value: object) -> Row:
    return {"database": database, "what": what, "value": value}


def sizes(database: str, target: str) -> Iterator[Row]:
    """How long a request takes, and what a run weighs, with few and with many runs."""
    with open_database(target, create=True) as db:
        for runs in (SMALL, LARGE):
            fill(db, runs)
            claims = claim(db, "bench", size=8, lease=600)
            asks: dict[str, Callable[[], object]] = {
                "ms a claim of 8": partial(again, db),
                "ms a renewal of 8": partial(renew, db, claims, 600),
                "ms a look at the states": partial(state_counts, db),
                "ms a status": partial(counts, db),
            }
            for what, ask in asks.items():
                yield row(database, f"{what}, with {runs:,} runs", timed(ask, 20))
            release(db, claims)
        before = weight(db)
        yield row(database, "bytes a waiting run", round(before / LARGE))
        for measured in (21, 66):
            yield row(database, f"bytes more with {measured} measurements", stored(db, measured))


def fill(db: Database, runs: int) -> None:
    """The sweep, its trials repeated on other seeds until there are so many."""
    planned = plan(SWEEP)
    times = range(runs // SMALL)
    repeated = [
        replace(
            study, indices=None, trials=[replace(t, seed=s) for s in times for t in study.trials]
        )
        for study in planned.studies
    ]
    add_sweep(db, planned.spec.name, {}, repeated)


def again(db: Database) -> float:
    """Claim, and give back; the seconds of the first."""
    began = time.perf_counter()
    claims = claim(db, "other", size=8, lease=600)
    taken = time.perf_counter() - began
    release(db, claims)
    return taken


def timed(ask: Callable[[], object], times: int) -> float:
    """Milliseconds, the median: of the whole, or of what ``ask`` says that it took."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        said = ask()
        spent.append(said if isinstance(said, float) else time.perf_counter() - began)
    return round(1000 * median(spent), 1)


def stored(db: Database, measured: int, runs: int = 2000) -> int:
    """By how many bytes a result of so many measurements makes the database larger."""
    before = weight(db)
    for _ in range(runs // 8):
        claims = claim(db, "bench", size=8, lease=600)
        assert store_runs(db, [(c, result(c.trial, measured)) for c in claims]) == []
    return round((weight(db) - before) / runs)


def result(trial: Trial, measured: int) -> RunRecord:
    if measured == 21:
        return record(trial)
    items = [
        Measurement(s, str(e), "val", "id_val", "accuracy", 0.5, 9)
        for s in range(6)
        for e in range(11)
    ]
    return RunRecord(trial, "completed", measurements=tuple(items), provenance={"seconds": 0.1})


def weight(db: Database) -> int:
    """Bytes on disk."""
    with db.read() as connection:
        if db.engine.dialect.name == "postgresql":
            return int(
                connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar()
                or 0
            )
        pages, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
            for name in ("page_count", "page_size")
        )
        return pages * size


def at_once(target: str) -> Iterator[Row]:
    """Renewals a second, and connections, of several workers."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(AT_ONCE, mp_context=fork) as pool:
        done = sum(pool.map(renewing, [target] * AT_ONCE, range(AT_ONCE)))
        yield row("PostgreSQL", f"renewals/s of {AT_ONCE} workers", round(done / SECONDS))
        tasks = [pool.submit(holding, target, number) for number in range(AT_ONCE)]
        seen = []
        with open_database(target, read_only=True) as db:
            while not all(task.done() for task in tasks):
                seen.append(connections(db))
                time.sleep(0.05)
    per = [n / AT_ONCE for n in seen]
    yield row("PostgreSQL", "connections a worker, median", round(median(per), 2))
    yield row("PostgreSQL", "connections a worker, most", round(max(per), 2))


def connections(db: Database) -> int:
    """Those of others."""
    asking = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oodbench' "
        "AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    with db.read() as connection:
        return int(connection.exec_driver_sql(asking).scalar() or 0)


def renewing(target: str, number: int) -> int:
    done, end = 0, time.monotonic() + SECONDS
    with open_database(target) as db:
        claims = claim(db, f"renewing {number}", size=8, lease=600)
        while time.monotonic() < end:
            assert len(renew(db, claims, 600)) == len(claims)
            done += 1
        release(db, claims)
    return done


def holding(target: str, number: int) -> None:
    """A worker's two threads: one trains and stores, one renews; more often than in life."""
    with open_database(target) as db:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            claims = claim(db, f"holding {number}", size=8, lease=600)
            stop = threading.Event()
            with Lease(db, claims, 1.0, stop.is_set) as held:
                for _ in range(50):
                    held.tick()
                    time.sleep(0.01)
            assert store_runs(db, [(c, result(c.trial, 21)) for c in claims]) == []
