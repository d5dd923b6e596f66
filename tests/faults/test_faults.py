"""Whatever happens to a sweep, every trial is stored exactly once, or failed with its reason."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from oodbench import api
from oodbench.planning import plan
from oodbench.results import add_sweep, check_database, open_database, sql

pytestmark = pytest.mark.slow

SLOW_ENOUGH = {
    "name": "faults",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": 64},
    "train": {"steps": 300, "batch": {"per_environment": 64}, "evaluate_every": 100},
}


def start(sweep: Path, db: str, *more: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "oodbench", "sweep", sweep, "--db", db, "--stack", 8, *more]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def workers_of(parent: int) -> list[int]:
    """Process numbers of the workers that ``parent`` has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True)
    return [int(pid) for pid in listed.stdout.split()]


def check_totals(db: str, planned: int, failed: int = 0) -> None:
    """Every trial once, with all its measurements once; nothing waits, nothing is left over."""
    runs = api.query(db)
    assert len(runs) == runs["run"].nunique() == planned
    ended = runs["status"].value_counts().to_dict()
    assert ended.get("failed", 0) <= failed
    assert sum(ended.values()) == planned
    assert set(ended) <= {"completed", "diverged", "failed"}
    assert (runs.loc[runs["status"] == "failed", "reason"] != "").all()
    with open_database(db, read_only=True) as database:
        counted = sql(
            database,
            "SELECT c.run_id, count(*) AS n, count(DISTINCT c.step) AS steps FROM curves c "
            "JOIN v_runs r ON r.run = c.run_id WHERE r.status = 'completed' GROUP BY c.run_id",
        )
    assert set(counted["steps"]) == {3}
    assert set(counted["n"]) == {3 * 7}  # six splits and the training loss
    assert check_database(db).problems == ()


@pytest.fixture
def sweep(sweep_file_of: Callable[[dict[str, Any]], Path]) -> Path:
    return sweep_file_of(SLOW_ENOUGH)


@pytest.fixture
def sweep_file_of(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(values: dict[str, Any]) -> Path:
        path = tmp_path / "faults.yaml"
        path.write_text(json.dumps(values))
        return path

    return write


@pytest.mark.parametrize("kills", [int(os.environ.get("OODBENCH_KILLS", "12"))])
def test_workers_that_are_killed_at_random(sweep: Path, tmp_path: Path, kills: int) -> None:
    db, rng = str(tmp_path / "runs.db"), random.Random(0)
    process, killed = start(sweep, db, "--workers", 2), 0
    while process.poll() is None:
        time.sleep(rng.uniform(1.0, 4.0))
        alive = workers_of(process.pid)
        if killed < kills and alive:
            os.kill(rng.choice(alive), signal.SIGKILL)
            killed += 1
    assert killed > 3
    assert process.wait() in (0, 1)
    # A trial whose worker happens to be killed three times, the last time alone, is failed.
    check_totals(db, 128, failed=2)


def test_a_server_that_is_killed_and_started_again(server: Server, sweep: Path) -> None:
    db = server.create("faults")
    process = start(sweep, db, "--workers", 2)

    def disturb() -> None:
        for _ in range(2):
            time.sleep(9)
            if process.poll() is None:
                server.stop(signal.SIGQUIT)  # at once, without a goodbye
                time.sleep(3)
                server.start()

    trouble = threading.Thread(target=disturb)
    trouble.start()
    _, said = process.communicate(timeout=300)
    trouble.join()
    assert process.returncode == 0, said
    check_totals(db, 128)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_for_a_while(small_disk: Path, sweep: Path, tmp_path: Path) -> None:
    db = str(small_disk / "runs.db")
    with open_database(db, create=True) as database:
        planned = plan(sweep)
        add_sweep(database, planned.spec.name, {}, planned.studies)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(free - 60_000))  # room for little more than the next lines
    log = small_disk / "runs.logs" / "worker-0.log"
    log.parent.mkdir()
    (tmp_path / "worker-0.log").touch()
    log.symlink_to(tmp_path / "worker-0.log")  # a log on the full disk could not say so
    process = start(sweep, db, "--workers", 1)
    time.sleep(25)
    assert process.poll() is None  # it waits for room, and has not given up
    assert shutil.disk_usage(small_disk).free < 20_000
    assert "the database does not answer, asking again" in log.read_text()
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    check_totals(db, 128)


def test_two_sweeps_on_one_database_at_once(sweep: Path, tmp_path: Path) -> None:
    db = str(tmp_path / "runs.db")
    both = [start(sweep, db, "--workers", 1) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    check_totals(db, 128)
