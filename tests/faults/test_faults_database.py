"""The database goes away, comes back, is full, or is used by two at once."""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_helpers import SWEEP, add_trials, check_totals, said, start, wait_for
from postgres_server import Server

pytestmark = pytest.mark.slow


def sweeping(sweep: Path, db: str, workers: int) -> "subprocess.Popen[bytes]":
    return start(sweep.parent, "sweep", sweep, "--db", db, "--workers", workers, "--stack", 8)


def test_a_server_that_is_killed_and_started_again(server: Server, sweep: Path) -> None:
    db = server.create("faults")
    process = sweeping(sweep, db, 2)

    def disturb() -> None:
        for _ in range(2):
            time.sleep(9)
            if process.poll() is None:
                server.stop(signal.SIGQUIT)  # at once, without a goodbye
                time.sleep(3)
                server.start()

    trouble = threading.Thread(target=disturb)
    trouble.start()
    process.wait(300)
    trouble.join()
    assert process.returncode == 0, said(sweep.parent)
    check_totals(db, 128)


def test_a_worker_that_starts_while_the_server_is_down(server: Server, tmp_path: Path) -> None:
    db = server.create("down")
    planned = add_trials(db, SWEEP | {"search": {"trials": 4}})
    server.stop()
    try:
        process = start(tmp_path, "worker", "faults", "--db", db)
        wait_for(lambda: "the database does not answer, asking again" in said(tmp_path))
        time.sleep(3)
        assert process.poll() is None
    finally:
        server.start()
    assert process.wait(60) == 0, said(tmp_path)
    check_totals(db, planned)
    mistyped = start(tmp_path, "worker", "faults", "--db", server.url("nowhere"))
    assert mistyped.wait(20) == 2, "a database that is not there will not come"


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
    planned = add_trials(db, SWEEP)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(free - 60_000))  # room for little more than the next lines
    logs = tmp_path / "logs"  # one on the full disk could not say so
    arguments = ("--db", db, "--workers", 1, "--stack", 8, "--logs", logs)
    process = start(tmp_path, "sweep", sweep, *arguments)
    time.sleep(25)
    assert process.poll() is None  # it waits for room, and has not given up
    assert shutil.disk_usage(small_disk).free < 20_000
    log = (logs / "worker-0.log").read_text()
    assert "the database does not answer, asking again" in log
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert process.wait(300) == 0, said(tmp_path)
    check_totals(db, planned)


def test_two_sweeps_on_one_database_at_once(sweep: Path, tmp_path: Path) -> None:
    db = str(tmp_path / "runs.db")
    for process in [sweeping(sweep, db, 1) for _ in range(2)]:
        assert process.wait(300) == 0, said(tmp_path)
    check_totals(db, 128)
