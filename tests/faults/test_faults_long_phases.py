"""A worker is asked to end, or loses its parent, while it computes features or decodes images.

It ends within seconds; what it has done is kept, and the next worker goes on from there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults_helpers import SWEEP, add_trials, check_totals, said, start, wait_for, workers_of
from image_helpers import write_tree

from oodbench import api
from oodbench.data.cache import DONE, PART
from oodbench.results import open_database, state_counts

pytestmark = pytest.mark.slow

SOON = 10.0
"""Seconds within which a worker has to end on a machine that does much else, too."""
IN_FLIGHT = 8 * (os.cpu_count() or 1)
"""Images that are being computed when a worker is asked to stop: a batch on each core."""

IMAGES = 448
"""In the folder that is decoded: 16 of each of 7 classes in each of 4 environments."""

PLUGIN = '''
"""480 images, and a frozen network that is slow and notes which of them it was given."""
import os, time
import numpy as np, torch
from torch import nn
from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Split
from oodbench.models.spec import ModelSpec

STORED = np.random.default_rng(0).integers(0, 256, (480, 3, 8, 8), dtype=np.uint8)
STORED[:, 0, 0, 0], STORED[:, 0, 0, 1] = np.divmod(np.arange(480), 256)

def build(data_seed):
    labels = (STORED.mean(axis=(1, 2, 3)) > STORED.mean()).astype(np.int64)
    environments = []
    for i, name in enumerate("abc"):
        rows = np.arange(160 * i, 160 * i + 160)
        parts = {"train": rows[:96], "val": rows[96:128], "test": rows[128:]}
        splits = {p: Split(Rows(STORED, r), labels[r]) for p, r in parts.items()}
        environments.append(Environment(name, splits))
    return Dataset("Bright", tuple(environments), 2, content="bright")

class Body(nn.Module):
    def forward(self, x):
        if len(x) > 1:
            time.sleep(0.02 * len(x))
            with open(os.environ["SEEN"], "a") as file:
                pixels = (x[:, 0, 0, :2] * 255).round().int()
                file.write("".join(f"{256 * a + b}\\\\n" for a, b in pixels.tolist()))
        return torch.stack([x.mean((1, 2, 3)), x[:, 0].mean((1, 2))], 1)

def model(input_shape, num_classes, train):
    return nn.Sequential(nn.Linear(input_shape[0], num_classes))

DATA = DatasetSpec("Bright", tuple("abc"), 2, build)
MODEL = ModelSpec(
    "slow_body",
    model,
    options={"train": ("head",)},
    pretrained=lambda options: "ab" * 32,
    frozen=lambda options: Body(),
)
'''
SLOW_IMAGES = """
import time
from PIL import Image

really = Image.open

def slowly(*given, **more):
    time.sleep(0.05)
    return really(*given, **more)

Image.open = slowly
"""


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A sweep on features that take ten seconds of one core; the plug-ins are installed."""
    metadata = tmp_path / "bright-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n")
    groups = {"datasets": "bright_data", "models": "bright_model"}
    entries = [f"[oodbench.{group}]\nbright = {module}\n" for group, module in groups.items()]
    (metadata / "entry_points.txt").write_text("".join(entries))
    (tmp_path / "bright_plugin.py").write_text(PLUGIN)
    (tmp_path / "bright_data.py").write_text("from bright_plugin import DATA\nREGISTER = [DATA]\n")
    (tmp_path / "bright_model.py").write_text(
        "from bright_plugin import MODEL\nREGISTER = [MODEL]\n"
    )
    monkeypatch.setenv("PYTHONPATH", with_path(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return SWEEP | {
        "datasets": [{"name": "Bright", "test_environments": [2]}],
        "model": {"name": "slow_body", "train": "head"},
        "search": {"trials": 2},
        "train": {"steps": 5, "batch": {"per_environment": 4}},
    }


def with_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def seen(folder: Path) -> list[int]:
    file = folder / "seen"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def sweep_of(folder: Path, sweep: dict[str, Any]) -> Path:
    path = folder / "faults.yaml"
    path.write_text(json.dumps(sweep))
    return path


def end_by(how: str, sweeping: "subprocess.Popen[bytes]") -> list[int]:
    """End the workers of a sweep by a signal to them, or by the death of the sweep alone."""
    workers = workers_of(sweeping.pid)
    if how != "orphaned":
        sweeping.send_signal(signal.SIGSTOP)  # it would start others
        for worker in workers:
            os.kill(worker, getattr(signal, how))
    else:
        sweeping.kill()
    return workers


def is_gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "orphaned"])
def test_workers_that_compute_features(how: str, features: dict[str, Any], tmp_path: Path) -> None:
    """Two at once: each image is computed by one of them, and kept when they end."""
    path, db = sweep_of(tmp_path, features), tmp_path / "runs.db"
    arguments = ("sweep", path, "--db", db, "--workers", 2, "--device", "cpu")
    sweeping = start(tmp_path, *arguments)
    wait_for(lambda: len(seen(tmp_path)) >= 96, 120)
    workers = end_by(how, sweeping)
    assert len(workers) == 2
    wait_for(lambda: all(map(is_gone, workers)), SOON)
    sweeping.kill()
    sweeping.wait(30)
    (part,) = (tmp_path / "cache").glob(f"*{PART}")
    kept = np.fromfile(part.with_suffix(DONE), bool).sum()
    computed = seen(tmp_path)
    assert len(computed) == len(set(computed)), "none by both"
    assert len(computed) - 2 * IN_FLIGHT <= kept <= len(computed)
    with open_database(db, read_only=True) as database:
        assert state_counts(database)["running"] == 0, "they gave back what they held"
    again = start(tmp_path, *arguments)
    assert again.wait(120) == 0, said(tmp_path)
    times = Counter(seen(tmp_path))
    assert set(times) == {*range(480)}
    assert sum(times.values()) - 480 == len(computed) - kept, "only what was in flight, again"
    check_totals(str(db), 4)


def test_features_by_two_workers_are_those_of_one(features: dict[str, Any], tmp_path: Path) -> None:
    path, scores = sweep_of(tmp_path, features), []
    for workers in (1, 2):
        db = tmp_path / f"{workers}.db"
        environment = {"OODBENCH_CACHE": str(tmp_path / f"cache {workers}")}
        options = ("--db", db, "--workers", workers, "--device", "cpu")
        process = start(tmp_path, "sweep", path, *options, **environment)
        assert process.wait(240) == 0, said(tmp_path)
        scores.append(api.query(db).set_index("run").sort_index()[["id_val", "ood_test"]])
    assert Counter(Counter(seen(tmp_path)).values()) == {2: 480}, "each once a sweep"
    found = [
        np.load(next((tmp_path / f"cache {workers}").glob("*features*.npy"))) for workers in (1, 2)
    ]
    np.testing.assert_array_equal(*found)
    assert scores[0].equals(scores[1])


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "orphaned"])
def test_a_worker_that_decodes_images(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep knows the images from another cache, as from another machine."""
    write_tree(tmp_path / "data" / "PACS", count=IMAGES // 28)
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMAGES)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "here"))
    db, there = tmp_path / "runs.db", tmp_path / "there"
    add_trials(
        str(db),
        SWEEP
        | {
            "datasets": [{"name": "PACS", "test_environments": [0], "size": 16}],
            "search": {"trials": 1},
            "train": {"steps": 3, "batch": {"per_environment": 4}},
        },
    )
    command = f"{sys.executable} -m oodbench worker faults --db {db} --device cpu --parent $$"
    environment = {"PYTHONPATH": with_path(tmp_path), "OODBENCH_CACHE": str(there)}
    with (tmp_path / "said").open("wb") as log:
        parent = subprocess.Popen(
            ["sh", "-c", f"{command} & wait"],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
    wait_for(lambda: bool(list(there.glob(f"*{PART}"))), 120)
    time.sleep(1)
    (worker,) = workers_of(parent.pid)
    if how == "orphaned":
        parent.kill()
    else:
        os.kill(worker, getattr(signal, how))
    wait_for(lambda: is_gone(worker), SOON)
    parent.kill()
    parent.wait(30)
    (part,) = there.glob(f"*{PART}")
    assert 0 < np.fromfile(part.with_suffix(DONE), bool).sum() < IMAGES
    with open_database(db, read_only=True) as database:
        assert state_counts(database)["running"] == 0, "it gave back what it held"
    again = start(tmp_path, "worker", "faults", "--db", db, OODBENCH_CACHE=str(there))
    assert again.wait(120) == 0, said(tmp_path)
    check_totals(str(db), 2)
    one, other = (
        np.load(next((tmp_path / folder).glob("PACS-16px*.npy"))) for folder in ("here", "there")
    )
    np.testing.assert_array_equal(one, other)
