"""What workers leave in the artifacts folder, and what becomes of it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from oodbench.api import query
from oodbench.errors import ArtifactError
from oodbench.results import abandon, add_sweep, curves, load_run, open_database, sql
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.training.loop import Run
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

Add = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Add:
    """Adds the tiny sweep, with some keys changed, to a database; returns its path."""

    def adding(file: str = "runs.db", **changes: Any) -> Path:
        planned = plan(parse_sweep(tiny(**changes)))
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        with open_database(tmp_path / file, create=True) as db:
            add_sweep(db, planned.spec.name, spec, planned.studies)
        return tmp_path / file

    return adding


ONE = {"optimizers": ["adam"], "search": {"trials": 1}}


def train_settings(steps: int) -> dict[str, Any]:
    return {"steps": steps, "batch": {"per_environment": 8}, "evaluate_every": steps // 4}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def weights_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    with open_database(path) as db:
        return {run: load_run(db, run).provenance.get("weights", []) for run in query(path)["run"]}


def test_a_preempted_run_loses_nothing(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oodbench.training.checkpoints.SOON", 0.0)
    path = add(**ONE, train=train_settings(40))
    steps, real = [], Run.step
    monkeypatch.setattr(Run, "step", lambda run, n: steps.append(n) or real(run, n))
    assert (
        work(path, "tiny", WorkerSettings(device="cpu"), should_stop=lambda: len(steps) > 14).stored
        == 0
    )
    (run,) = query(path)["run"]
    assert files(artifacts_folder(path)) == [f"checkpoints/{run}.pt"]
    with open_database(path) as db:
        (row,) = sql(db, "SELECT state, attempt, excused FROM runs").to_dict("records")
    assert row == {"state": "waiting", "attempt": 0, "excused": 0}
    half_done = artifacts_folder(path) / "checkpoints" / f".{run}.pt.abc"
    half_done.touch()  # as a worker leaves it that is killed while it writes
    work(path, "tiny", WorkerSettings(device="cpu"))
    with open_database(path) as db:
        assert load_run(db, run).provenance["resumed_at"] == [15]
    assert steps == [*range(15), *range(15, 40)]
    assert files(artifacts_folder(path)) == []  # it is stored
    undisturbed = add("undisturbed.db", **ONE, train=train_settings(40))
    work(undisturbed, "tiny", WorkerSettings(device="cpu"))
    with open_database(path) as db, open_database(undisturbed) as other:
        assert curves(db, run).equals(curves(other, run))


def test_nothing_is_written_unless_it_is_needed(add: Add) -> None:
    path = add()
    work(path, "tiny", WorkerSettings(device="cpu"))
    assert not artifacts_folder(path).exists()


@pytest.mark.parametrize("stack", [1, 32])
def test_weights_are_kept_as_the_sweep_says(add: Add, tmp_path: Path, stack: int) -> None:
    sets = {
        name: add(f"{name}-{stack}.db", keep_weights=name) for name in ("none", "last", "selected")
    }
    found = {}
    for name, path in sets.items():
        work(path, "tiny", WorkerSettings(device="cpu", stack=stack))
        found[name] = weights_of(path)
    assert set(found["none"]) == set(found["last"]) == set(found["selected"])  # ids are the same
    assert set(map(len, found["none"].values())) == {0}
    assert {w["checkpoint"] for (w,) in found["last"].values()} == {"last"}
    assert {w["step"] for (w,) in found["last"].values()} == {4}
    best = query(sets["selected"], checkpoint="best_id_val").set_index("run")["step"]
    assert {run: w["step"] for run, (w,) in found["selected"].items()} == dict(best)
    for name in ("last", "selected"):
        folder = artifacts_folder(sets[name]) / "weights"
        for run, (kept,) in found[name].items():
            assert kept["file"] == f"{run}-{kept['sha256'][:12]}.safetensors"
            assert (folder / kept["file"]).stat().st_size == kept["bytes"]
            assert set(load_file(folder / kept["file"])) == {
                f"{layer}.{part}" for layer in (1, 3) for part in ("weight", "bias")
            }


def test_two_sweeps_that_share_a_run_keep_what_any_of_them_wants(add: Add) -> None:
    path = add(**ONE, keep_weights="last")
    add(**ONE, name="twin", keep_weights="selected")
    add(**ONE, name="third")
    work(path, "third", WorkerSettings(device="cpu"))
    (kept,) = weights_of(path).values()
    assert [w["checkpoint"] for w in kept] == ["last", "best_id_val"]


def test_weights_that_cannot_be_written_fail_no_run(add: Add) -> None:
    path = add(keep_weights="last")
    artifacts_folder(path).write_text("not a folder")
    with pytest.raises(ArtifactError, match="name another place: --artifacts"):
        work(path, "tiny", WorkerSettings(device="cpu"))
    assert set(query(path)["status"]) == {"waiting"}
    work(path, "tiny", WorkerSettings(device="cpu", artifacts=path.parent / "elsewhere"))
    assert len(files(path.parent / "elsewhere")) == 4


def start(path: Path, owner: str) -> "subprocess.Popen[bytes]":
    options = ["--db", path, "--device", "cpu", "--save-every", 0.02, "--owner", owner]
    command = [sys.executable, "-m", "oodbench", "worker", "tiny", *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_three_times_ends_as_one_that_was_not(add: Add) -> None:
    settings = {**ONE, "keep_weights": "last", "train": train_settings(6000)}
    path, expected = add(**settings), add("expected.db", **settings)
    (run,) = query(path)["run"]
    checkpoint = artifacts_folder(path) / "checkpoints" / f"{run}.pt"
    for number in range(3):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(path, f"worker-{number}")
        deadline = time.monotonic() + 60
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert process.poll() is None
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with open_database(path) as db:
            assert abandon(db, f"worker-{number}") == 1
    work(path, "tiny", WorkerSettings(device="cpu"), owner="last")
    work(expected, "tiny", WorkerSettings(device="cpu"))
    with open_database(path) as db, open_database(expected) as other:
        found, undisturbed = load_run(db, run), load_run(other, run)
        (row,) = sql(db, "SELECT attempt FROM runs").to_dict("records")
    assert found.status == "completed"
    assert row["attempt"] == 4
    steps = found.provenance["resumed_at"]
    assert len(steps) == 3
    assert 0 < steps[0] < steps[1] < steps[2] < 6000
    assert found.measurements == undisturbed.measurements
    assert found.provenance["weights"] == undisturbed.provenance["weights"]
