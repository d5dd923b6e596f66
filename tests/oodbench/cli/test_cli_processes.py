"""Real processes: plug-ins, exit codes, Ctrl-C, and a parent that is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oodbench import api

PLUG_IN = '''
"""An optimizer from another package, and one with a bug."""
import torch
from oodbench.optimizers import OptimizerSpec
from oodbench.spaces import log

class Buggy(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("a bug in the optimizer")

REGISTER = [
    OptimizerSpec("theirs", "non-adaptive", {"lr": log(0.01, 0.1)}, torch.optim.SGD),
    OptimizerSpec("buggy", "non-adaptive", {"lr": log(0.01, 0.1)}, Buggy),
]
'''


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "oodbench", *map(str, arguments)]


def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=os.environ | environment
    )


@pytest.mark.slow
def test_a_plug_in_is_trained_by_workers_and_a_failed_run_gives_exit_code_1(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[oodbench.optimizers]\ntheirs = their_module\n")
    (tmp_path / "their_module.py").write_text(PLUG_IN)
    db, path = tmp_path / "runs.db", sweep_file(optimizers=["theirs", "buggy", "adam"])
    ended = run("sweep", path, "--db", db, "--workers", 1, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    assert "2 runs failed" in ended.stderr
    assert "Traceback" not in ended.stderr
    studies = api.status(db).set_index("optimizer")
    assert studies.loc["theirs", "completed"] == studies.loc["adam", "completed"] == 2
    assert studies.loc["buggy", "failed"] == 2
    assert "RuntimeError: a bug in the optimizer" in api.query(db, "status = 'failed'")["reason"][0]
    log = (tmp_path / "runs.logs" / "worker-0.log").read_text()
    assert 'raise RuntimeError("a bug in the optimizer")' in log
    assert log.splitlines()[-1].endswith(
        "nothing is left to train: 6 runs stored, 0 refused as too late"
    )


@pytest.fixture
def interrupted(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> Iterator[tuple[list[str], Path, Any]]:
    """A sweep of one short and one long study, of which the short one is done; its command, its
    database and its process."""
    slow = {"name": "irm", "train": {"steps": 2000, "batch": {"per_environment": 16}}}
    path = sweep_file(algorithms=["erm", slow], optimizers=["sgd"])
    db = tmp_path / "runs.db"
    arguments = command("sweep", path, "--db", db, "--workers", 2)
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: states(db).get("completed") == 2 and states(db).get("running") == 2)
        yield arguments, db, process
    finally:
        process.kill()
        process.wait()


def states(db: Path) -> dict[str, int]:
    try:
        with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT state, count(*) FROM runs GROUP BY state")
            return dict(rows.fetchall())
    except sqlite3.OperationalError:  # not there yet
        return {}


def workers_of(db: Path) -> list[int]:
    """Processes with this database in their environment, other than the one that was started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or is not ours
            continue
        if f"OODBENCH_DB={db}".encode() in environment:
            found.append(int(process.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def assert_rest_waits(db: Path) -> None:
    """Both short runs are done; of the long ones one may have ended before it was stopped."""
    assert states(db) in ({"completed": 2, "waiting": 2}, {"completed": 3, "waiting": 1})


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
@pytest.mark.slow
def test_ctrl_c_stops_at_once_keeps_what_finished_and_the_same_command_goes_on(
    interrupted: tuple[list[str], Path, Any],
) -> None:
    arguments, db, process = interrupted
    assert len(workers_of(db)) == 2
    kept = api.query(db, "status = 'completed'")
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    assert time.monotonic() - start < 6  # about 1.4 seconds on two cores
    assert process.returncode == 130
    assert "Interrupted. What finished is stored; the same command goes on from there." in error
    assert "Traceback" not in error
    assert workers_of(db) == []
    assert_rest_waits(db)
    again = subprocess.run(arguments, capture_output=True, text=True)
    assert again.returncode == 0
    assert states(db) == {"completed": 4}
    first = api.query(db).set_index("run").loc[kept["run"], "id"]
    assert list(first) == list(kept["id"])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
def test_workers_stop_by_themselves_when_the_process_that_started_them_is_killed(
    interrupted: tuple[list[str], Path, Any],
) -> None:
    _, db, process = interrupted
    process.kill()
    wait_for(lambda: workers_of(db) == [], seconds=20)
    assert_rest_waits(db)


def test_an_output_that_is_gone_or_full_is_no_traceback(tmp_path: Path) -> None:
    shell = " ".join(command("optimizers"))
    for how, code in [("| head -1", 0), ("> /dev/full", 1), (">&-", 0)]:
        script = f"set -o pipefail; {shell} {how}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        assert ended.returncode == code, how
        assert "Traceback" not in ended.stderr
        assert ended.stderr.count("\n") == code
