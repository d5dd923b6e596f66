"""Ray with two nodes on this machine, as ray.cluster_utils makes them: a node is lost, one added.

``make test-ray``; some minutes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import Server
from slurm_cluster import wait_for

from oodbench import api
from oodbench.results import check_database, open_database, sql

ray = pytest.importorskip(
    "ray", reason="RAY IS NOT TESTED: pip install 'oodbench[ray]'", exc_type=ImportError
)
from ray.cluster_utils import Cluster  # noqa: E402 - only where there is Ray

pytestmark = pytest.mark.ray

SWEEP: dict[str, Any] = {
    "name": "actors",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 64, "depth": 2},
    "search": {"trials": 12},
    "train": {"steps": 7500, "batch": {"per_environment": 64}, "evaluate_every": 2500},
    "ray": {"workers": 4, "gpus": 0.5, "cpus": 1},
}
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
    "ray": {"workers": 1, "nodes_per_run": 2, "gpus_per_run": 2, "lease": 5.0},
}
"""Three runs, each on two nodes at once."""
SIZE = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without room for actors, and two nodes with one make-believe GPU each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # a busy machine would starve them
    head = {"num_cpus": 0, "num_gpus": 0, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**head, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def db(server: Server) -> Iterator[str]:
    yield server.create("ray_cluster")
    server.drop("ray_cluster")


def start(
    folder: Path, db: str, cluster: Cluster, *arguments: object, **changes: Any
) -> "subprocess.Popen[str]":
    (folder / "actors.yaml").write_text(json.dumps(SWEEP | changes))
    command = [sys.executable, "-m", "oodbench", "sweep", "actors.yaml", "--db", db]
    command += ["--executor", "ray", "--set", f"ray.address={cluster.address}"]
    command += ["--device", "cpu", "--stack", "2", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def holders(db: str) -> set[str]:
    with open_database(db, read_only=True) as database:
        return set(sql(database, "SELECT owner FROM runs WHERE state = 'running'")["owner"])


def workers() -> dict[str, str]:
    """Owner of each live worker -> what it sees as its GPUs."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode().split("\0")
            environment = (process / "environ").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if "oodbench" in arguments and "worker" in arguments and "actors" in arguments:
            owner = arguments[arguments.index("--owner") + 1]
            gpus = [item for item in environment if item.startswith("CUDA_VISIBLE_DEVICES=")]
            found[owner] = gpus[0].partition("=")[2] if gpus else "none"
    return found


def test_a_node_is_lost_and_another_comes(cluster: Cluster, db: str, tmp_path: Path) -> None:
    nodes = [cluster.add_node(**SIZE) for _ in range(2)]
    cluster.wait_for_nodes()
    process = start(tmp_path, db, cluster)
    try:
        wait_for(lambda: _created(db) and len(holders(db)) == 4, 400, "all actors to hold runs")
        assert list(workers().values()) == ["0"] * 4, "half of their node's only GPU each"
        before = set(workers())
        cluster.remove_node(nodes[0], allow_graceful=False)
        wait_for(lambda: len(before & set(workers())) == 2, 60, "a node to be lost")
        cluster.add_node(**SIZE)
        wait_for(lambda: len(holders(db) - before) >= 1, 400, "an actor to start again elsewhere")
        said, _ = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "24/24 models, 0 diverged, 0 failed" in said
    assert set(api.query(db)["status"]) == {"completed"}
    assert check_database(db).problems == ()
    with open_database(db, read_only=True) as database:
        attempts = sql(database, "SELECT attempt FROM runs")["attempt"]
        n = sql(database, "SELECT run_id, count(*) AS n FROM curves GROUP BY run_id")["n"]
    assert attempts.max() == 2, "what the lost node held was taken again"
    assert (set(n), len(n)) == ({3 * 7}, 24)
    wait_for(lambda: not workers(), 30, "the workers to be gone")


def _created(db: str) -> bool:
    try:
        open_database(db, read_only=True).close()
    except Exception:
        return False
    return True


def test_ctrl_c_gives_back_what_is_trained(cluster: Cluster, db: str, tmp_path: Path) -> None:
    cluster.add_node(**SIZE)
    cluster.wait_for_nodes()
    process = start(tmp_path, db, cluster, "--workers", 2)
    try:
        wait_for(lambda: _created(db) and len(holders(db)) == 2, 400, "the actors to hold runs")
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert holders(db) == set(), "nobody has to wait for a lease"
    wait_for(lambda: not workers(), 30, "the workers to be gone")


def has_rank(node: Any, rank: int) -> bool:
    """Whether the process of that rank runs on a node: among the children of its raylet."""
    raylets = {held.process.pid for held in node.all_processes["raylet"]}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().decode().split("\0")
            ours = b"actors" in (process / "cmdline").read_bytes().split(b"\0")
            while ours and f"RANK={rank}" in environment and int(process.name) > 1:
                if int(process.name) in raylets:
                    return True
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                process = process.with_name(parent)
        except (OSError, UnicodeDecodeError):
            continue
    return False


@pytest.mark.parametrize("rank", [0, 1])
def test_each_run_on_two_nodes_of_which_one_is_lost(
    cluster: Cluster, db: str, tmp_path: Path, rank: int
) -> None:
    """What comes of it is what comes of the simulation in one process."""
    nodes = [cluster.add_node(**SIZE) for _ in range(2)]
    cluster.wait_for_nodes()
    process = start(tmp_path, db, cluster, **SPREAD)

    def replicas() -> int:
        assert process.poll() is None, process.communicate()[0]
        folder = tmp_path / "oodbench-logs"
        said = "".join(path.read_text() for path in folder.glob("*node1*.log"))
        return said.count("rank 1 trains a replica")

    try:
        wait_for(lambda: replicas() == 1, 400, "both nodes to train")
        assert list(workers().values()) == ["0"] * 2, "a GPU of each node"
        (lost,) = [node for node in nodes if has_rank(node, rank)]
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(**SIZE)
        wait_for(lambda: replicas() >= 2, 120, "both to train again")
        said, _ = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "3/3 models, 0 diverged, 0 failed" in said
    with open_database(db, read_only=True) as database:
        attempts = sql(database, "SELECT attempt FROM runs")["attempt"]
    # The run that was being trained is taken again, unless its worker could still give it back.
    assert sorted(attempts) in ([1, 1, 1], [1, 1, 2]), "the death of a node is no failure"
    here = tmp_path / "here.db"
    api.run_sweep(SWEEP | SPREAD, here, workers=1)
    scores = ["run", "id_val", "id_test", "ood_test", "all_reduces", "samples"]
    there, simulated = (api.query(one)[scores].sort_values("run") for one in (db, here))
    pd.testing.assert_frame_equal(
        there.reset_index(drop=True), simulated.reset_index(drop=True), check_dtype=False
    )
    wait_for(lambda: not workers(), 30, "the workers to be gone")


def test_where_there_is_no_cluster(db: str, tmp_path: Path) -> None:
    (tmp_path / "actors.yaml").write_text(json.dumps(SWEEP))
    command = [sys.executable, "-m", "oodbench", "sweep", "actors.yaml", "--db", db]
    command += ["--executor", "ray"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "No Ray cluster at 'auto'" in done.stderr
    assert "Traceback" not in done.stderr
