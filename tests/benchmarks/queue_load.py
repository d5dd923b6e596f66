"""Workers that do not train: how many runs a second the queue hands out and the store takes.

Each is a process that claims cohorts of 8, renews them once, and stores 21 measurements a run until
the sweep is done. Afterwards every run must be stored, once.
"""

import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from postgres_server import MISSING, Server, find_programs

from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import (
    add_sweep,
    check_database,
    claim,
    is_done,
    open_database,
    renew,
    sql,
    store_runs,
)
from oodbench.sweep.plan import plan

RUNS, COHORT = 4000, 8
SWEEP: dict[str, Any] = {
    "name": "load",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": RUNS // 2},
    "train": {"steps": 300, "batch": {"per_environment": 64}, "evaluate_every": 100},
}


def measure() -> Iterator[dict[str, object]]:
    """A row for each kind of database."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:  # /tmp may be in memory
        yield {"database": "SQLite", **load(f"{folder}/runs.db", 16)}
    if find_programs() is None:
        print(MISSING)
        return
    with postgresql() as target:
        yield {"database": "PostgreSQL", **load(target, 64)}


def load(target: str, workers: int) -> dict[str, object]:
    """Let that many workers empty the queue; what they did, a second."""
    planned = plan(SWEEP)
    with open_database(target, create=True) as db:
        add_sweep(db, planned.spec.name, {}, planned.studies)
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=fork) as pool:
        done = list(pool.map(simulate, [target] * workers, range(workers)))
    stored, times, began, ended, cpu = zip(*done, strict=True)
    seconds = max(ended) - min(began)
    check(target, Counter(chain.from_iterable(stored)))
    claiming = 1000 * np.concatenate(times)
    return {
        "workers": workers,
        "runs": RUNS,
        "seconds": round(seconds, 1),
        "claims/s": round(len(claiming) / seconds),
        "runs/s": round(RUNS / seconds),
        "CPU ms/run": round(1000 * sum(cpu) / RUNS, 1),
        "claim ms, median": round(float(np.median(claiming)), 1),
        "95%": round(float(np.quantile(claiming, 0.95)), 1),
    }


def simulate(target: str, number: int) -> tuple[list[str], list[float], float, float, float]:
    """A worker's life: the runs that it stored, seconds of each claim, begin, end, CPU seconds."""
    stored: list[str] = []
    times: list[float] = []
    with open_database(target) as db:
        began, used = time.perf_counter(), time.process_time()
        while True:
            asked = time.perf_counter()
            claims = claim(db, f"worker {number}", sweep="load", size=COHORT, lease=60)
            if claims:
                times.append(time.perf_counter() - asked)
                assert len(renew(db, claims, 60)) == len(claims)
                assert store_runs(db, [(item, record(item.trial)) for item in claims]) == []
                stored += [item.run for item in claims]
            elif is_done(db, "load"):
                return stored, times, began, time.perf_counter(), time.process_time() - used
            else:
                time.sleep(0.05)


def record(trial: Trial) -> RunRecord:
    """What training would give, in size."""
    measured = (
        Measurement(step, str(place), "val", "id_val", "accuracy", 0.5, 360)
        for step in (100, 200, 300)
        for place in range(7)
    )
    return RunRecord(trial, "completed", measurements=tuple(measured), provenance={"seconds": 0.1})


def check(target: str, stored: "Counter[str]") -> None:
    """No run is lost, none was stored by two."""
    assert len(stored) == RUNS, f"{RUNS - len(stored)} runs are lost"
    assert set(stored.values()) == {1}, "a run was stored by two workers"
    with open_database(target, read_only=True) as db:
        found = sql(db, "SELECT count(*) AS n, count(DISTINCT run_id) AS runs FROM curves")
        attempts = sql(db, "SELECT max(attempt) AS n FROM runs")["n"].item()
    assert found.to_dict("records") == [{"n": RUNS * 21, "runs": RUNS}]
    assert attempts == 1, "a run was claimed twice"
    assert check_database(target).problems == ()


@contextmanager
def postgresql() -> Iterator[str]:
    """URL of a database on a server of its own, which writes to the disk as servers do."""
    programs = find_programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="oodbench-"))
    folder.chmod(0o755)
    server = Server(programs, folder / "postgresql", durable=True)
    try:
        yield server.create("load")
    finally:
        server.stop()
        shutil.rmtree(folder)
