"""Leases that run out under a live worker: it is frozen, or a clock is wrong or jumps."""

import os
import signal
import time
from pathlib import Path

import pytest
from faults_helpers import SWEEP, add_trials, check_totals, said, start, wait_for

from oodbench.results import open_database, sql, state_counts
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

pytestmark = pytest.mark.slow


def of(trials: int) -> dict[str, object]:
    return SWEEP | {"search": {"trials": trials}}


def test_a_worker_that_is_frozen_longer_than_its_lease(db: str, tmp_path: Path) -> None:
    add_trials(db, of(8))
    process = start(tmp_path, "worker", "faults", "--db", db, "--lease", 1, "--device", "cpu")
    wait_for(lambda: " trains 16 of " in said(tmp_path))
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    other = work(db, "faults", WorkerSettings(device="cpu"))
    assert (other.stored, other.refused) == (16, 0)
    planned = add_trials(db, of(12))  # for the other to go on with
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0, said(tmp_path)
    log = said(tmp_path)
    gave_up = "gave back 16 trials: their lease ran out; another worker has them" in log
    assert gave_up or log.count("result refused, another worker has it") == 16
    assert f"nothing is left to train: 8 runs stored, {0 if gave_up else 16} refused" in log
    check_totals(db, planned)


WRONG_CLOCK = '''
"""Python imports this as it starts."""
import os, sys, time
right = time.time
time.time = lambda: right() + 3600 * float(os.environ["HOURS"])
print("started at", time.time(), file=sys.stderr)
'''


def test_workers_with_wrong_clocks_lose_nothing(db: str, tmp_path: Path) -> None:
    planned = add_trials(db, of(8))
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    arguments = ("worker", "faults", "--db", db, "--stack", 4, "--device", "cpu", "--lease", 20)
    both = []
    for hours in (-5, 5):
        folder = tmp_path / str(hours)
        folder.mkdir()
        both.append((folder, start(folder, *arguments, PYTHONPATH=path, HOURS=str(hours))))
    for hours, (folder, process) in zip((-5, 5), both, strict=True):
        assert process.wait(120) == 0, said(folder)
        started = float(said(folder).split("started at ")[1].split()[0])
        assert started == pytest.approx(time.time() + 3600 * hours, abs=120)
        assert " 0 refused" in said(folder)
    check_totals(db, planned)
    with open_database(db, read_only=True) as database:
        assert set(sql(database, "SELECT attempt FROM runs")["attempt"]) == {1}


def jump(db: str, seconds: float) -> None:
    """Let the database's clock jump: it is compared with nothing but leases."""
    with open_database(db) as database, database.write() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET lease = lease - ({seconds})")


def test_the_databases_clock_jumps_while_workers_run(db: str, sweep: Path) -> None:
    planned = add_trials(db, SWEEP)
    process = start(sweep.parent, "sweep", sweep, "--db", db, "--workers", 2, "--stack", 8)
    with open_database(db) as database:
        for seconds in (3600, -3600, 3600):
            before = state_counts(database)["completed"]
            wait_for(lambda before=before: state_counts(database)["completed"] > before)
            wait_for(lambda: state_counts(database)["running"] > 0)
            jump(db, seconds)
    assert process.wait(120) == 0, said(sweep.parent)
    check_totals(db, planned)
