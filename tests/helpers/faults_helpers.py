"""Sweeps to be disturbed, and what must be true of them whatever happens."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oodbench import api
from oodbench.results import add_sweep, check_database, open_database, sql
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

SWEEP: dict[str, Any] = {
    "name": "faults",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": 64},
    "train": {"steps": 300, "batch": {"per_environment": 64}, "evaluate_every": 100},
}


def start(folder: Path, *arguments: object, **environment: str) -> "subprocess.Popen[bytes]":
    """Start ``oodbench ...`` in a folder; what it says goes to the file ``said`` there."""
    command = [sys.executable, "-m", "oodbench", *map(str, arguments)]
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=said, env=os.environ | environment
        )


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def workers_of(parent: int) -> list[int]:
    """Process numbers of the workers that ``parent`` has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True)
    return [int(pid) for pid in listed.stdout.split()]


def be_a_worker(db: str, owner: str) -> None:
    """What ``oodbench worker`` does, in a process that is there already."""
    work(db, "faults", WorkerSettings(device="cpu", stack=8), owner=owner)


def add_trials(db: str, sweep: dict[str, Any]) -> int:
    """Make the database or add what it lacks; how many trials the sweep has."""
    planned = plan(sweep)
    with open_database(db, create=True) as database:
        return add_sweep(database, planned.spec.name, {}, planned.studies).runs


def check_totals(db: str, planned: int, failed: int = 0) -> None:
    """Every trial once, with all its measurements once; nothing waits, nothing is left over."""
    runs = api.query(db)
    assert len(runs) == runs["run"].nunique() == planned
    ended = runs["status"].value_counts().to_dict()
    assert ended.get("failed", 0) <= failed
    assert sum(ended.values()) == planned
    assert set(ended) <= {"completed", "diverged", "failed"}
    reasons = runs.loc[runs["status"] == "failed", "reason"]
    assert reasons.str.startswith("Its worker died each of the ").all()
    with open_database(db, read_only=True) as database:
        counted = sql(
            database,
            "SELECT c.run_id, count(*) AS n, count(DISTINCT c.step) AS steps FROM curves c "
            "JOIN v_runs r ON r.run = c.run_id WHERE r.status = 'completed' GROUP BY c.run_id",
        )
    assert len(counted) == ended["completed"]
    assert set(counted["steps"]) == {3}
    assert set(counted["n"]) == {3 * 7}  # six splits and the training loss
    assert check_database(db).problems == ()
