"""A real SLURM: workers are killed, jobs cancelled and preempted, a node is lost, time runs out.

``make test-slurm``; ten minutes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import Server
from slurm_cluster import MISSING, Cluster, is_possible

from oodbench import api
from oodbench.results import check_database, open_database, sql
from oodbench.workers.executors.jobs import job_of

pytestmark = pytest.mark.slurm

SWEEP: dict[str, Any] = {
    "name": "cluster",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": 12},
    "train": {"steps": 7500, "batch": {"per_environment": 64}, "evaluate_every": 2500},
    "slurm": {"workers": 4, "partition": "main", "time": 30, "options": {"comment": "a test"}},
}
ALONE = {"optimizers": ["sgd"], "search": {"trials": 1}}
LONG = {"steps": 60_000, "batch": {"per_environment": 64}, "evaluate_every": 30_000}
"""Half a minute for one model alone on two quiet cores, and more on a busy machine."""
LONGER = LONG | {"steps": 240_000, "evaluate_every": 120_000}
"""Longer than the two minutes that are the least which SLURM can end a job by."""
SPREAD: dict[str, Any] = {
    "optimizers": [{"name": "sgd", "space": {"lr": 0.05, "weight_decay": 0.0}}],
    "parallel": [{"method": "ddp", "replicas": 2}],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 1},
    "seeds": 3,
    "train": {
        "steps": 4000,
        "batch": {"per_environment": 8},
        "evaluate_every": 2000,
        "precision": "float64",
    },
    "slurm": SWEEP["slurm"] | {"workers": 1, "nodes_per_run": 2, "gpus_per_run": 2},
}
"""Three runs, each on both nodes at once."""
COMMAND = 300
"""Seconds that a command of oodbench may take here; it trains nothing itself."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not is_possible():
        pytest.skip(MISSING)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in cluster.environment.items():
                patch.setenv(name, value)
            yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(slurm: Cluster) -> Cluster:
    """Both nodes up and idle, whatever the test before did to them."""
    slurm.make_whole()
    return slurm


@pytest.fixture
def db(server: Server, cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"slurm_{abs(hash(request.node.name)) % 10**6}"
    yield server.create(name)
    cluster.run("scancel", "--me")
    cluster.wait_for(lambda: not cluster.jobs(), 120, "the jobs to be gone")
    server.drop(name)


def oodbench(folder: Path, *arguments: object) -> str:
    """What a command says."""
    command = [sys.executable, "-m", "oodbench", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=COMMAND)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submit(folder: Path, db: str, *arguments: object, **changes: Any) -> str:
    (folder / "cluster.yaml").write_text(json.dumps(SWEEP | changes))
    where = ("--db", db, "--executor", "slurm", *arguments)
    return oodbench(folder, "sweep", "cluster.yaml", *where)


def states(db: str) -> dict[str, int]:
    frame = api.status(db)
    return {
        state: int(frame[state].sum()) for state in ("waiting", "running", "completed", "total")
    }


def holders(db: str) -> dict[str, str]:
    """Owner of held runs -> job."""
    with open_database(db, read_only=True) as database:
        owners = sql(database, "SELECT DISTINCT owner FROM runs WHERE state = 'running'")["owner"]
    return {owner: job_of(owner) for owner in owners}


def worker_of(owner: str) -> int:
    listed = subprocess.run(["pgrep", "-f", "--", f"owner {owner}"], capture_output=True, text=True)
    return int(listed.stdout.split()[0])


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted((folder / "oodbench-logs").glob("*.log")))


def runs(db: str) -> pd.DataFrame:
    with open_database(db, read_only=True) as database:
        return sql(database, "SELECT id, state, attempt, owner, provenance FROM runs")


def stored_by(db: str, job: str) -> set[str]:
    found = runs(db)
    mine = (found["state"] == "completed") & (found["owner"].fillna("").map(job_of) == job)
    return set(found.loc[mine, "id"])


def test_a_killed_worker_a_cancelled_job_and_a_lost_node(
    cluster: Cluster, db: str, tmp_path: Path
) -> None:
    said = submit(tmp_path, db, "--stack", 2, "--save-every", 5)
    assert said.count("pending") + said.count("running") == 4, said
    cluster.wait_for(lambda: len(cluster.jobs("running")) == 4, 60, "the jobs to run")
    cluster.wait_for(lambda: len(set(holders(db).values())) == 4, 400, "all workers to hold runs")
    assert set(holders(db).values()) == set(cluster.jobs("running"))
    told = oodbench(tmp_path, "status", "--db", db)
    assert all(job in told for job in cluster.jobs())
    assert "SLURM jobs:" in told
    said = submit(tmp_path, db, "--stack", 2)  # the same command: no more jobs than asked for
    assert len(cluster.jobs()) == 4, said

    places = cluster.jobs("running")
    on_n1 = {job: owner for owner, job in holders(db).items() if places.get(job) == "n1"}
    killed, cancelled = sorted(on_n1)[:2]
    os.kill(worker_of(on_n1[killed]), signal.SIGKILL)
    stored = stored_by(db, cancelled)  # on a slow machine it began long before the others
    cluster.run("scancel", cancelled)
    cluster.wait_for(lambda: cancelled not in cluster.jobs(), 60, "the job to be cancelled")
    assert on_n1[cancelled] not in holders(db), "it gave back what it held"
    lost = [job for job, node in places.items() if node == "n2"]
    cluster.lose_node("n2")
    cluster.wait_for(
        lambda: set(lost) <= set(cluster.jobs("pending")), 60, "its jobs to wait again"
    )

    def done() -> bool:
        cluster.hurry()
        return states(db)["completed"] == 24

    cluster.wait_for(done, 900, "the sweep")
    cluster.return_nodes()

    def over() -> bool:
        cluster.hurry()
        return not cluster.jobs()

    cluster.wait_for(over, 300, "the jobs to end, for nothing is left")
    assert states(db) == {"waiting": 0, "running": 0, "completed": 24, "total": 24}
    assert check_database(db).problems == ()
    found = runs(db)
    again = found["attempt"] - 1
    assert again.max() in (1, 2), "what was killed or lost was taken again, by a lost one, too"
    assert again.sum() in range(1, 7)  # at most two of each of three workers
    assert stored_by(db, cancelled) == stored, "it gave back what it held"
    with open_database(db, read_only=True) as database:
        n = sql(database, "SELECT run_id, count(*) AS n FROM curves GROUP BY run_id")
    assert set(n["n"]) == {3 * 7}, "every measurement of every run, once"


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / "oodbench-artifacts" / "checkpoints").glob("*"))


def test_a_preempted_job_goes_on_in_the_middle_of_its_run(
    cluster: Cluster, db: str, tmp_path: Path
) -> None:
    one = {"workers": 1, "partition": "main", "time": 30}
    submit(tmp_path, db, "--save-every", 2, **ALONE, train=LONG, slurm=one)
    cluster.wait_for(lambda: checkpoints(tmp_path), 400, "a checkpoint")
    (job,) = cluster.jobs("running")
    cluster.run("srun", "-p", "urgent", "-N", "2", "--exclusive", "sleep", "3")
    assert job in cluster.jobs(), "it waits, or runs again"
    cluster.wait_for(lambda: "gave back 1 trials" in logs(tmp_path), 30, "the goodbye")

    def done() -> bool:
        cluster.hurry()
        return states(db)["completed"] == 1

    cluster.wait_for(done, 900, "the run")
    (run,) = runs(db).itertuples()
    assert run.attempt == 1, "preemption uses no attempt"
    (step,) = json.loads(run.provenance)["resumed_at"]
    assert 0 < step < LONG["steps"], "it went on in the middle"


def test_a_job_whose_time_is_over_saves_and_waits_for_its_next_turn(
    cluster: Cluster, db: str, tmp_path: Path
) -> None:
    one = {"workers": 1, "partition": "main", "time": 60, "notice": 45}
    submit(tmp_path, db, "--save-every", 2, **ALONE, train=LONGER, slurm=one)
    cluster.wait_for(lambda: checkpoints(tmp_path), 400, "a checkpoint")
    (job,) = cluster.jobs("running")
    minutes = int(cluster.run("squeue", "-h", "-j", job, "-o", "%M").split(":")[-2]) + 2
    cluster.run("scontrol", "update", f"jobid={job}", f"timelimit={minutes}")
    cluster.wait_for(lambda: job in cluster.jobs("pending"), 240, "the job to be put back in line")
    cluster.run("scontrol", "update", f"jobid={job}", "timelimit=60")

    def done() -> bool:
        cluster.hurry()
        return states(db)["completed"] == 1

    cluster.wait_for(done, 900, "the run")
    (run,) = runs(db).itertuples()
    assert run.attempt == 1
    steps = json.loads(run.provenance)["resumed_at"]
    assert steps
    assert all(0 < step < LONGER["steps"] for step in steps)
    assert "gave back 1 trials: the worker was asked to stop" in logs(tmp_path)
    said = (tmp_path / "oodbench-logs" / "submitit" / f"{job}_0_log.out").read_text()
    assert f"Requeued job {job}" in said
    cluster.wait_for(lambda: not cluster.jobs(), 60, "the job to end")


def test_cancel_ends_the_jobs_and_empties_the_queue(
    cluster: Cluster, db: str, tmp_path: Path
) -> None:
    two = {"workers": 2, "partition": "main", "time": 30, "gpus": 1, "workers_per_job": 1}
    submit(tmp_path, db, "--stack", 2, slurm=two)
    cluster.wait_for(lambda: len(set(holders(db).values())) == 2, 400, "workers to hold runs")
    devices = set()
    for owner in holders(db):
        environment = Path(f"/proc/{worker_of(owner)}/environ").read_bytes().split(b"\0")
        devices |= {item for item in environment if item.startswith(b"CUDA_VISIBLE_DEVICES=")}
    assert devices == {b"CUDA_VISIBLE_DEVICES=0", b"CUDA_VISIBLE_DEVICES=1"}
    said = oodbench(tmp_path, "cancel", "cluster", "--db", db)
    assert "2 SLURM jobs of cluster cancelled" in said
    assert not cluster.jobs()
    assert states(db)["waiting"] == states(db)["running"] == 0
    assert "SLURM jobs" not in oodbench(tmp_path, "status", "--db", db)


def rank_of(cluster: Cluster, node: str) -> int:
    """The process that trains a replica on a node; 0: there is none."""
    for pid in cluster.processes_on(node):
        with suppress(OSError):  # it has ended meanwhile
            if b"RANK=" in Path(f"/proc/{pid}/environ").read_bytes().replace(b"_RANK=", b""):
                return pid
    return 0


def test_each_run_on_two_nodes_of_which_one_is_killed_and_both_are_preempted(
    cluster: Cluster, db: str, tmp_path: Path
) -> None:
    """What comes of it is what comes of the simulation in one process."""
    submit(tmp_path, db, **SPREAD)
    cluster.wait_for(lambda: "rank 1 trains a replica" in logs(tmp_path), 400, "both nodes")
    (job,) = cluster.jobs("running")
    (owner,) = holders(db)
    assert job_of(owner) == job
    os.kill(rank_of(cluster, "n2"), signal.SIGKILL)

    def taken_again() -> bool:
        return any(job_of(other) == job for other in set(holders(db)) - {owner})

    cluster.wait_for(taken_again, 120, "all processes to start again")
    replicas = logs(tmp_path).count("rank 1 trains a replica")
    cluster.wait_for(
        lambda: logs(tmp_path).count("rank 1 trains a replica") > replicas, 60, "a replica"
    )
    cluster.run("srun", "-p", "urgent", "-N", "2", "--exclusive", "sleep", "3")
    cluster.wait_for(lambda: "gave back 1 trials" in logs(tmp_path), 60, "the goodbye")

    def done() -> bool:
        cluster.hurry()
        return states(db)["completed"] == 3

    cluster.wait_for(done, 600, "the runs")
    cluster.wait_for(lambda: not cluster.jobs(), 60, "the job to end on both nodes")
    assert not any(rank_of(cluster, node) for node in ("n1", "n2"))
    assert sorted(runs(db)["attempt"]) == [1, 1, 2], "one death is no failure, preemption no death"
    here = tmp_path / "here.db"
    api.run_sweep(SWEEP | SPREAD, here, workers=1)
    scores = ["run", "id_val", "id_test", "ood_test", "all_reduces", "samples"]
    there, simulated = (api.query(one)[scores].sort_values("run") for one in (db, here))
    pd.testing.assert_frame_equal(
        there.reset_index(drop=True), simulated.reset_index(drop=True), check_dtype=False
    )
