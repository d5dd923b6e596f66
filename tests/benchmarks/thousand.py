"""A thousand workers at one PostgreSQL server: a burst of starts, leases, a restart, the load.

Each is a thread that sleeps where a worker trains, and asks the server for all that a worker asks
for: it claims cohorts, renews their leases every quarter of them, stores 21 measurements a run.
Afterwards every run must be stored, once. OODBENCH_WORKERS says how many there are.
"""

import os
import resource
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from postgres_server import MISSING, Server, find_programs

from oodbench.results import add_sweep, check_database, claim, open_database, renew, sql, store_runs
from oodbench.sweep.plan import plan
from oodbench.workers.lease import patiently
from tests.benchmarks.queue_load import SWEEP, record

WORKERS = int(os.environ.get("OODBENCH_WORKERS", "1000"))
COHORT, LEASE, RENEWALS, ROUNDS = 2, 60.0, 2, 2
"""Runs of a cohort, seconds of its lease, renewals while it trains, cohorts of a worker."""

Row = dict[str, object]


class Office:
    """What the workers did."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.claiming: list[float] = []
        self.stored: Counter[str] = Counter()
        self.errors: list[BaseException] = []

    def work(self, number: int) -> None:
        """A worker's life."""
        try:
            with patiently(lambda: open_database(self.target)) as db:
                while True:
                    asked = time.monotonic()
                    held = patiently(
                        lambda: claim(db, f"w{number}", sweep="load", size=COHORT, lease=LEASE)
                    )
                    self.claiming.append(time.monotonic() - asked)
                    if not held:
                        return
                    for _ in range(RENEWALS):
                        time.sleep(LEASE / 4)
                        patiently(lambda held=held: renew(db, held, LEASE))
                    time.sleep(LEASE / 4)
                    results = [(item, record(item.trial)) for item in held]
                    refused = patiently(lambda results=results: store_runs(db, results))
                    self.stored.update({item.run for item in held} - {*refused})
        except BaseException as error:
            self.errors.append(error)


def measure() -> Iterator[Row]:
    """A row a number."""
    if find_programs() is None:
        print(MISSING)
        return
    runs = WORKERS * COHORT * ROUNDS
    planned = plan({**SWEEP, "search": {"trials": runs // 2}})
    with started() as server:
        target = server.create("load")
        with open_database(target, create=True) as db:
            add_sweep(db, "load", {}, planned.studies)
        office = Office(target)
        began = time.monotonic()
        threads = [threading.Thread(target=office.work, args=(i,)) for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        while len(office.claiming) < WORKERS and not office.errors:
            time.sleep(0.1)
        yield row("seconds until all that start at once have a cohort", time.monotonic() - began)
        yield row("a claim among them, seconds, median", median(office.claiming))
        yield from load(server)
        server.stop()
        time.sleep(5)
        server.start()
        for thread in threads:
            thread.join()
        yield row("seconds in all, with a restart of the server", time.monotonic() - began)
        yield from outcome(office, runs)


def load(server: Server, seconds: float = 15.0) -> Iterator[Row]:
    """What the workers cost the server while all of them train."""
    before, began = milliseconds(server.process.pid), time.monotonic()
    time.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    spent = milliseconds(server.process.pid) - before
    yield row("ms of the server's processors for a worker, a minute", spent / WORKERS / minutes)
    yield row("connections of a worker", connections(server) / WORKERS)


def connections(server: Server) -> int:
    """Of all workers."""
    import psycopg

    where = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "dbname": "load"}
    asking = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oodbench'"
    with psycopg.connect(**where) as connection:
        (found,) = connection.execute(asking).fetchone() or (0,)
    return int(found)


def milliseconds(parent: int) -> float:
    """Processor time of a process' children, as Linux counts it."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        if int(fields[1]) == parent:
            ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def outcome(office: Office, runs: int) -> Iterator[Row]:
    """Whether every run was stored, once."""
    yield row("workers that ended with an error", len(office.errors))
    assert not office.errors, office.errors[:3]
    assert check_database(office.target).problems == ()
    with open_database(office.target, read_only=True) as db:
        states = sql(db, "SELECT state, count(*) AS n FROM runs GROUP BY state")
        points = sql(db, "SELECT count(*) AS n FROM points")["n"].item()
        again = sql(db, "SELECT count(*) AS n FROM runs WHERE attempt > 1")["n"].item()
    assert states.to_dict("records") == [{"state": "completed", "n": runs}]
    assert points == 21 * runs
    assert set(office.stored.values()) == {1}
    yield row("runs stored, each once", len(office.stored))
    yield row("of these claimed again", again)


def row(what: str, value: float) -> Row:
    return {"what": what, "value": round(value, 2)}


@contextmanager
def started() -> Iterator[Server]:
    """A server of its own, which writes to the disk and has a connection for each worker."""
    programs = find_programs()
    assert programs is not None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = Path(tempfile.mkdtemp(prefix="oodbench-"))
    folder.chmod(0o755)
    server = Server(programs, folder / "postgresql", durable=True, connections=2 * WORKERS + 100)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
