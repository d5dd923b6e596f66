"""Workers are killed: from outside, at random, or by a trial, every time."""

import itertools
import json
import os
import random
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from faults_helpers import (
    SWEEP,
    add_trials,
    be_a_worker,
    check_totals,
    said,
    start,
    workers_of,
)

from oodbench import api
from oodbench.optimizers import OPTIMIZERS
from oodbench.results import abandon, is_done, open_database, state_counts
from oodbench.sweep.plan import plan

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("OODBENCH_KILLS", "300"))
WORKERS = 4
ENOUGH = 60
"""The sweep gets more trials when so few wait, so that it outlives the kills on any machine."""
SHORT = SWEEP | {"train": {**SWEEP["train"], "steps": 90, "evaluate_every": 30}}


def of(trials: int) -> dict[str, Any]:
    """The last of its optimizers has a trial that kills its worker: see ``MOODY``."""
    return SHORT | {"search": {"trials": trials}, "optimizers": ["sgd", "adam", "moody"]}


def test_workers_that_are_killed_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forked from this process, which has trained already: they start at once.

    One trial kills its worker by itself. A kill from outside comes at a random moment after a few
    more runs were stored, however fast the machine is.
    """
    path, rng, context = str(tmp_path / "runs.db"), random.Random(0), get_context("fork")
    trials, killed, due, deadline = 64, 0, 0, time.monotonic() + 60 + 4 * KILLS
    workers: dict[str, Any] = {}
    names = (f"worker {number}" for number in itertools.count())
    with_moody(monkeypatch)
    add_trials(str(tmp_path / "first.db"), SHORT | {"search": {"trials": 1}})
    be_a_worker(str(tmp_path / "first.db"), "the first")
    planned = add_trials(path, of(trials))
    killer = plan(of(trials)).studies[-1].trials[9]
    monkeypatch.setenv("KILLING_LR", str(killer.hparams["lr"]))
    while True:
        assert time.monotonic() < deadline, f"only {killed} kills, or it does not end"
        dead = [owner for owner, worker in workers.items() if not worker.is_alive()]
        with open_database(path) as db:  # closed before the forks: a connection must not cross one
            for owner in dead:
                assert workers.pop(owner).exitcode in (0, -signal.SIGKILL)
                abandon(db, owner)  # as the supervisor does
            counts, done = state_counts(db), is_done(db)
        if done:
            break
        if killed < KILLS and counts["waiting"] < ENOUGH:
            trials += 32
            planned = add_trials(path, of(trials))
        while len(workers) < WORKERS:
            owner = next(names)
            workers[owner] = context.Process(target=be_a_worker, args=(path, owner))
            workers[owner].start()
        time.sleep(rng.uniform(0.0, 0.3))
        if killed < KILLS and counts["completed"] >= due:
            rng.choice(list(workers.values())).kill()
            killed, due = killed + 1, counts["completed"] + rng.randint(1, 8)
    for worker in workers.values():
        worker.join(30)
    assert killed == KILLS
    check_totals(path, planned, failed=1)
    failed = api.query(path, "status = 'failed'")
    assert failed["run"].tolist() == [killer.id], "a healthy trial is not failed, the killer is"


def test_workers_of_a_sweep_that_are_killed_at_random(sweep: Path, tmp_path: Path) -> None:
    db, rng, killed, stored = str(tmp_path / "runs.db"), random.Random(0), 0, 0
    process = start(tmp_path, "sweep", sweep, "--db", db, "--workers", 2, "--stack", 8)
    while process.poll() is None:
        time.sleep(rng.uniform(0.5, 2.0))
        # Workers that never get past their start would be given up: first something is stored.
        alive = workers_of(process.pid)
        now = api.query(db)["status"].eq("completed").sum() if alive else 0
        if killed < 12 and now > stored and alive:
            os.kill(rng.choice(alive), signal.SIGKILL)
            killed, stored = killed + 1, now
    assert killed > 3
    assert process.wait() == 0
    check_totals(db, 128)


MOODY = '''
"""SGD, but one learning rate kills the process that trains with it, as a bad driver might."""
import os, signal, torch
from oodbench.optimizers import OptimizerSpec
from oodbench.spaces import log

def build(params, lr):
    if lr == float(os.environ.get("KILLING_LR", "nan")):
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.optim.SGD(params, lr=lr)

REGISTER = [OptimizerSpec("moody", "non-adaptive", {"lr": log(0.01, 0.1)}, build)]
'''


def with_moody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register that optimizer in this process."""
    here = ModuleType("moody_module")
    exec(MOODY, here.__dict__)
    monkeypatch.setitem(OPTIMIZERS._things, "moody", here.REGISTER[0])


def test_a_killer_among_32_in_one_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "moody-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[oodbench.optimizers]\nmoody = moody_module\n")
    (tmp_path / "moody_module.py").write_text(MOODY)
    with_moody(monkeypatch)
    values = SWEEP | {"optimizers": ["moody"], "search": {"trials": 32}}
    killer = plan(values).studies[0].trials[19]
    sweep = tmp_path / "faults.yaml"
    sweep.write_text(json.dumps(values))
    process = start(
        tmp_path,
        *("sweep", sweep, "--db", tmp_path / "runs.db", "--workers", 1, "--stack", 32),
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        KILLING_LR=str(killer.hparams["lr"]),
    )
    assert process.wait(600) == 1, said(tmp_path)
    runs = api.query(tmp_path / "runs.db").set_index("run")
    assert list(runs.index[runs["status"] == "failed"]) == [killer.id]
    # In cohorts of 32, 16, 8, 4 and 2, and alone, as its last companion was: 3^-9 is beyond chance.
    assert "each of the 9 times it was trained alone, of 14" in runs.loc[killer.id, "reason"]
    check_totals(str(tmp_path / "runs.db"), 32, failed=1)
