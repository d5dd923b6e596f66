"""The local executor: who is replaced, who is given up, what a worker sees."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench import api
from oodbench.errors import DatabaseAwayError, RequestError
from oodbench.machine import WORKERS_HERE
from oodbench.results import Database, add_sweep, claim, open_database, sql
from oodbench.sweep.plan import plan
from oodbench.workers import lease
from oodbench.workers.executors import local
from oodbench.workers.executors.local import log_folder, log_of
from oodbench.workers.executors.slots import STILLBORN, Slot, make_slots

KILLER = '''
"""An optimizer that kills the worker that builds it, or its device, as a bad driver might."""
import os, signal, sys, torch
from oodbench.optimizers import OptimizerSpec
from oodbench.spaces import log

def build(params, **hparams):
    if "worker" not in sys.argv:
        return torch.optim.SGD(params, **hparams)
    if "BREAK_DEVICE" in os.environ:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")
    os.kill(os.getpid(), signal.SIGKILL)

REGISTER = [OptimizerSpec("killer", "non-adaptive", {"lr": log(0.01, 0.1)}, build)]
'''


@pytest.fixture
def db(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Database:
    database = open_database(tmp_path / "runs.db", create=True)
    add_sweep(database, "tiny", {}, plan(tiny()).studies)
    return database


def die(slot: Slot, code: int) -> None:
    slot.start([sys.executable, "-c", f"raise SystemExit({code})"], dict(os.environ))
    assert slot.process is not None
    slot.process.wait(30)


def test_a_worker_that_dies_holding_trials_is_replaced_and_they_are_free_at_once(
    db: Database, tmp_path: Path
) -> None:
    (slot,) = make_slots(tmp_path / "logs", 1)
    assert slot.look(db)  # nobody is there yet
    for deaths in range(1, 3):
        die(slot, -9)
        held = claim(db, slot.owner, size=4, lease=600)
        assert len(held) == 4 // deaths  # what was lost comes back in halved cohorts
        assert not slot.ended(), "between two looks it is not known yet that it will be replaced"
        assert slot.look(db)
        assert not slot.given_up


def test_a_worker_that_dies_at_once_again_and_again_is_given_up(
    db: Database, tmp_path: Path
) -> None:
    (slot,) = make_slots(tmp_path / "logs", 1)
    wanted = []
    for _ in range(STILLBORN):
        die(slot, 1)
        wanted.append(slot.look(db))
    assert wanted == [True] * (STILLBORN - 1) + [False]
    assert slot.given_up
    assert slot.ended()
    assert "exit code 1: (empty)" in slot.last_words()


def test_a_worker_that_gave_back_its_trials_before_it_died_is_always_replaced(
    db: Database, tmp_path: Path
) -> None:
    (slot,) = make_slots(tmp_path / "logs", 1)
    program = "import sys; print('worker', sys.argv[-1], 'trains 2 of ...'); raise SystemExit(1)"
    for _ in range(2 * STILLBORN):
        slot.start([sys.executable, "-c", program], dict(os.environ))
        assert slot.process is not None
        slot.process.wait(30)
        assert slot.look(db)


def test_the_last_words_are_the_workers_and_not_torchruns(tmp_path: Path) -> None:
    (slot,) = make_slots(tmp_path / "logs", 1)
    slot.log.write_text("oodbench: no such sweep.\nTraceback:\n  failed\n====\n")
    assert slot.last_words().endswith(": oodbench: no such sweep.")
    slot.log.write_text("oodbench: an earlier one.\nTraceback:\n  failed\n")
    assert slot.last_words().endswith(":   failed")


def test_a_database_that_is_away_while_a_sweep_is_planned_is_asked_again(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PAUSE", 0.01)
    tries = 0

    def away_once(*given: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise DatabaseAwayError("The server is starting up.")
        return add_sweep(*given)

    monkeypatch.setattr("oodbench.verbs.sweep.add_sweep", away_once)
    monkeypatch.setattr("oodbench.verbs.sweep.run_local", lambda *given, **more: None)
    frame = api.run_sweep(tiny(), tmp_path / "runs.db", workers=1)
    assert (tries, frame["waiting"].sum()) == (2, 4)


def test_a_worker_that_cannot_do_what_is_asked_is_not_replaced(
    db: Database, tmp_path: Path
) -> None:
    (slot,) = make_slots(tmp_path / "logs", 1)
    die(slot, 2)
    assert not slot.look(db)
    die(slot, 0)
    assert not slot.look(db)  # it ended because nothing is left


def test_each_worker_sees_its_own_gpu(tmp_path: Path) -> None:
    slots = make_slots(tmp_path / "logs", 4, ["0", "3"])
    show = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    for slot in slots:
        slot.start(show, os.environ | {"CUDA_VISIBLE_DEVICES": "7"})
    for slot in slots:
        assert slot.process is not None
        slot.process.wait(30)
    assert [slot.log.read_text().strip() for slot in slots] == ["0", "3", "0", "3"]
    assert len({slot.owner for slot in slots}) == 4


def test_workers_know_how_many_share_the_cores(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = [sys.executable, "-c", f"import os; print(os.environ['{WORKERS_HERE}'])"]
    monkeypatch.setattr(local, "worker_command", lambda *_, **__: show)
    slots = make_slots(tmp_path / "logs", 3)
    with pytest.raises(RequestError, match="All workers exited before the sweep finished"):
        local.run_local(db, db.url, "tiny", slots=slots, on_progress=lambda counts: None)
    assert [slot.log.read_text().strip() for slot in slots] == ["3"] * 3


def test_the_log_of_a_worker_is_found_by_the_name_that_its_runs_have(tmp_path: Path) -> None:
    target = str(tmp_path / "runs.db")
    for logs in (None, tmp_path / "elsewhere"):
        (slot,) = make_slots(logs or log_folder(target), 1)
        slot.start([sys.executable, "-c", "import sys; print(sys.argv)"], dict(os.environ))
        assert slot.process is not None
        slot.process.wait(30)
        assert log_of(target, slot.owner, logs) == slot.log
        assert log_of(target, slot.owner[:-1] + "x", logs) is None  # another sweep's worker-0
    for stranger in ("", "host:1234:0123abcd", "host:../worker-0:0123abcd"):
        assert log_of(target, stranger) is None


def test_gpus_and_workers_exclude_each_other(sweep_file: Callable[..., Path]) -> None:
    with pytest.raises(RequestError, match="exclude each other"):
        api.run_sweep(sweep_file(), "runs.db", workers=2, gpus=["0"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["KILL_WORKER", "BREAK_DEVICE"])
def test_a_trial_that_kills_its_worker_is_found_and_its_neighbours_are_unharmed(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv(how, "1")
    metadata = tmp_path / "killer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: killer\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[oodbench.optimizers]\nkiller = killer_module\n")
    (tmp_path / "killer_module.py").write_text(KILLER)
    path = sweep_file(optimizers=["sgd", "killer"], search={"trials": 1})
    db, began = tmp_path / "runs.db", time.monotonic()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = f"from oodbench import run_sweep; run_sweep({str(path)!r}, {str(db)!r}, workers=1)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
    assert time.monotonic() - began < 300  # of ten deaths none waited for a lease of 60 seconds
    runs = api.query(db).set_index("optimizer")
    assert runs["status"].to_dict() == {"sgd": "completed", "killer": "failed"}
    # One other run ended, so that a worker dies by chance in one of three: 3 ** -9 is below 1e-4.
    assert "died each of the 9 times it was trained alone" in runs.loc["killer", "reason"]
    with open_database(db, read_only=True) as database:
        owners = sql(database, "SELECT id, owner FROM runs")
    for run, owner in owners.itertuples(index=False):
        log = log_of(str(db), owner)
        assert log is not None
        assert any(run in line and owner in line for line in log.read_text().splitlines())
