"""A replica on each process that torchrun starts: one machine, two, and what goes wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import oodbench
from oodbench.optimizers import OPTIMIZERS
from oodbench.results import open_database, sql
from oodbench.sweep.plan import plan

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
SWEEP: dict[str, Any] = {
    "name": "torchrun",
    "datasets": [{"name": "RotatedDigits", "test_environments": [0]}],
    "algorithms": ["erm"],
    "optimizers": [{"name": "sgd", "space": {"lr": 0.05, "weight_decay": 0.0}}],
    "parallel": [
        "none",
        {"method": "ddp", "replicas": 2},
        {"method": "palsgd", "replicas": 2, "sync_every": 8, "sync_warmup": 4, "outer_lr": 0.7},
    ],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 1},
    "train": {"steps": 30, "batch": {"per_environment": 8}, "evaluate_every": 10},
    "keep_weights": "last",
}


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def scores(db: Path) -> pd.DataFrame:
    runs = oodbench.query(db).set_index("optimizer").sort_index()
    assert set(runs["status"]) == {"completed"}
    return runs[["id_val", "id_test", "ood_test", "all_reduces", "samples"]]


def test_two_machines_train_what_the_simulation_does(tmp_path: Path) -> None:
    """Two agents, as on two machines; the second has no database and no folder for weights."""
    sweep = {**SWEEP, "train": {**SWEEP["train"], "precision": "float64"}}
    file, db = tmp_path / "sweep.json", tmp_path / "two.db"
    oodbench.run_sweep(sweep, tmp_path / "one.db", workers=1)
    file.write_text(json.dumps(sweep))
    file = file.rename(tmp_path / "sweep.yaml")  # JSON is YAML
    oodbench.api.prepare_shard(file, db, "0/1")
    meeting = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    agents = []
    for machine, place in enumerate((db, tmp_path / "nowhere.db")):
        torchrun = [*TORCHRUN, "--nnodes", "2", "--node-rank", str(machine), *meeting]
        worker = ["-m", "oodbench", "worker", "torchrun", "--db", str(place), "--processes"]
        log = (tmp_path / f"{machine}.log").open("w")
        how: dict[str, Any] = {"env": environment(), "stdout": log, "stderr": log}
        agents.append(subprocess.Popen([*torchrun, *worker], **how))
    codes = [agent.wait(timeout=300) for agent in agents]
    logs = [(tmp_path / f"{machine}.log").read_text() for machine in (0, 1)]
    assert codes == [0, 0], logs
    pd.testing.assert_frame_equal(scores(db), scores(tmp_path / "one.db"))
    seconds = oodbench.query(db).set_index("optimizer")["communication_seconds"]
    assert seconds.notna().tolist() == [name != "sgd" for name in seconds.index]
    assert len(list((tmp_path / "two.artifacts" / "weights").iterdir())) == 3
    assert not list(tmp_path.glob("nowhere*"))


SCRIPT = """
import json, os, signal, sys
from dataclasses import replace
from pathlib import Path
import torch
from oodbench.data import DATASETS
from oodbench.errors import OodbenchError, StopTrainingError
from oodbench.sweep.plan import plan
from oodbench.training import NOTHING, load
from oodbench.training.replicas import torchrun
from oodbench.training.replicas.torchrun import Ranks

signal.signal(signal.SIGTERM, lambda *_: None)  # torchrun's, once a process is gone; as a worker
cpu, out = torch.device("cpu"), Path(sys.argv[1])
(trial,) = plan(json.loads(sys.argv[2])).studies[0].trials
really = torchrun.train_replica

def train_replica(trial, *rest):
    rank = int(os.environ["RANK"])
    if trial.seed == 1 and rank == 1:
        raise ValueError("no more memory")
    if trial.seed == 2 and rank == 1:
        raise StopTrainingError("told to stop")
    if trial.seed == 3 and rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return really(trial, *rest)

def tell(what):
    with out.open("a") as file:
        print(what, file=file, flush=True)

torchrun.train_replica = train_replica
data = load(DATASETS.get("RotatedDigits").load({}, 0), (0,), cpu, torch.float32)
ranks = Ranks(cpu)
if ranks.rank:
    ranks.follow(lambda *_: data, lambda: None)
else:
    with ranks.leading():
        for changes in ({"replicas": 3}, *({"seed": seed} for seed in (0, 1, 0, 2, 0, 3, 0))):
            asked = replace(trial, **changes)
            try:
                record = ranks.distribute(asked, data, cpu, lambda: None, NOTHING)
                tell(f"{record.status} {record.provenance['parallel']['all_reduces']}")
            except OodbenchError as error:
                tell(f"{type(error).__name__}: {error}")
"""


def test_one_that_raises_stops_or_dies_ends_its_trial_on_all(tmp_path: Path) -> None:
    sweep = {**SWEEP, "parallel": SWEEP["parallel"][2:]}
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = [str(tmp_path / "script.py"), str(tmp_path / "out"), json.dumps(sweep)]
    torchrun = [*TORCHRUN, "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run([*torchrun, *arguments], env=environment(), timeout=300, check=False)
    assert ended.returncode != 0  # torchrun says that one was killed
    fine, gone = f"completed {4 + 26 // 8}", "a process that torchrun started is gone"
    expected = [
        "RequestError: A trial has 3 replicas, but torchrun started 2 processes",
        fine,
        "OodbenchError: the process of rank 1 of 2: ValueError: no more memory",
        fine,
        "StopTrainingError: the process of rank 1 of 2: told to stop",
        fine,
        f"ProcessGoneError: {gone}",
        "RequestError: A process that torchrun started is gone: ",
    ]
    said = (tmp_path / "out").read_text().splitlines()
    assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected


def test_a_sweep_goes_on_after_a_process_was_killed(tmp_path: Path) -> None:
    """Torchrun starts all again, and they train the run again: one death is no failure."""
    train = {**SWEEP["train"], "steps": 4000, "evaluate_every": 2000}
    search = {"search": {"trials": 2}, "seeds": 1}
    sweep = {**SWEEP, **search, "parallel": SWEEP["parallel"][1:2], "train": train}
    sweep["optimizers"] = [{"name": "sgd", "space": {"lr": {"log": [0.01, 0.1]}}}]
    file, db, log = (tmp_path / name for name in ("sweep.yaml", "runs.db", "log"))
    file.write_text(json.dumps(sweep))  # JSON is YAML
    torchrun = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    worker = ["-m", "oodbench", "worker", str(file), "--db", str(db), "--shard", "0/1"]
    worker += ["--lease", "2"]
    with log.open("w") as out:
        command = [*torchrun, *worker, "--processes"]
        agent = subprocess.Popen(command, env=environment(), stdout=out, stderr=out)
    wait_for(lambda: "rank 1 trains a replica" in log.read_text())
    (victim,) = [pid for pid in children(agent.pid) if "RANK=1" in environment_of(pid)]
    os.kill(victim, signal.SIGKILL)
    assert agent.wait(timeout=200) == 0, log.read_text()
    runs = oodbench.query(db)
    assert list(runs["status"]) == ["completed", "completed"]
    with open_database(db, read_only=True) as database:
        attempts = sql(database, "SELECT attempt FROM runs")["attempt"]
    assert sorted(attempts) == [1, 2]


MOODY = '''
"""SGD, but one learning rate aborts the first process, as NCCL's watchdog does in a vain wait."""
import os, torch
from oodbench.optimizers import OptimizerSpec
from oodbench.spaces import log

def build(params, lr):
    if lr == float(os.environ.get("ABORTING_LR", "nan")) and os.environ.get("RANK") == "0":
        os.abort()
    return torch.optim.SGD(params, lr=lr)

REGISTER = [OptimizerSpec("moody", "non-adaptive", {"lr": log(0.01, 0.1)}, build)]
'''


def test_a_trial_that_aborts_the_worker_each_time_is_found_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "moody-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[oodbench.optimizers]\nmoody = moody_module\n")
    (tmp_path / "moody_module.py").write_text(MOODY)
    module = ModuleType("moody_module")
    exec(MOODY, module.__dict__)
    monkeypatch.setitem(OPTIMIZERS._things, "moody", module.REGISTER[0])
    sweep = {**SWEEP, "optimizers": ["moody"], "parallel": SWEEP["parallel"][1:2]}
    sweep |= {"search": {"trials": 12}, "train": {**SWEEP["train"], "steps": 10}}
    culprit = plan(sweep).studies[0].trials[7]
    file, db = tmp_path / "sweep.yaml", tmp_path / "runs.db"
    file.write_text(json.dumps(sweep))  # JSON is YAML
    torchrun = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--max-restarts", "20"]
    worker = ["-m", "oodbench", "worker", str(file), "--db", str(db), "--shard", "0/1"]
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [*torchrun, *worker, "--processes", "--lease", "2"],
        env={**environment(), "PYTHONPATH": paths, "ABORTING_LR": str(culprit.hparams["lr"])},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert ended.returncode == 0, ended.stderr
    runs = oodbench.query(db).set_index("run")
    assert list(runs.index[runs["status"] == "failed"]) == [culprit.id]
    assert runs["status"].value_counts().to_dict() == {"completed": 11, "failed": 1}
    assert runs.loc[culprit.id, "reason"].startswith("Its worker died each of the ")


def wait_for(happened: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")
