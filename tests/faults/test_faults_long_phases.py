"""Workers are stopped or orphaned while they compute features, which takes minutes, not steps."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults_helpers import start, wait_for, workers_of
from PIL import Image

from oodbench import api

pytestmark = pytest.mark.slow

IMAGES = 400
"""Of each class in each environment: some minutes of features on one core."""
SWEEP: dict[str, Any] = {
    "name": "features",
    "datasets": [{"name": "ImageFolders", "folder": "images", "test_environments": ["b"]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd"],
    "model": {"name": "efficientnet_lite0", "train": "head"},
    "search": {"trials": 2},
    "train": {"steps": 20, "batch": {"per_environment": 8}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep file and the images of two environments, which are noise."""
    noise = np.random.default_rng(0).integers(0, 255, (IMAGES, 64, 64, 3), dtype=np.uint8)
    for number, place in enumerate(("a/x", "a/y", "b/x", "b/y")):
        kind = tmp_path / "images" / place
        kind.mkdir(parents=True)
        for i, pixels in enumerate(noise):
            Image.fromarray(np.roll(pixels, number + 1, axis=2) ^ number).save(kind / f"{i}.png")
    (tmp_path / "features.yaml").write_text(json.dumps(SWEEP))
    return tmp_path


def computed(folder: Path) -> int:
    """How many features are noted as done."""
    notes = list((folder / "cache").glob("*features*.done"))
    return sum(int(np.count_nonzero(np.fromfile(note, bool))) for note in notes)


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", ["SIGTERM to the worker", "SIGKILL to sweep", "SIGHUP to sweep"])
def test_a_worker_that_computes_features_ends_soon_and_keeps_them(folder: Path, how: str) -> None:
    environment = {"OODBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = ["sweep", "features.yaml", "--db", "runs.db", "--root", ".", "--workers", "1"]
    sweep = start(folder, *command, **environment)
    try:
        wait_for(lambda: computed(folder) > 0, 300)
        (worker,) = workers_of(sweep.pid)
        kept = computed(folder)
        if how == "SIGTERM to the worker":
            os.kill(worker, signal.SIGTERM)
        else:
            sweep.send_signal(signal.Signals[how.split()[0]])
        wait_for(lambda: not lives(worker), 30)
    finally:
        sweep.terminate()
        sweep.wait(60)
    assert kept <= computed(folder) < 4 * IMAGES
    assert api.status(str(folder / "runs.db"))["running"].sum() == 0
