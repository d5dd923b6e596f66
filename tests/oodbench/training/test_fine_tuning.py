"""All of a ResNet-18 trained on real images, from a weights file, augmented, through a sweep."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import oodbench
from oodbench.models import MODELS
from oodbench.models.torchvision_models import backbone
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

STEPS, HALF = 20, 10


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The sha256 of a file of random weights, as torchvision names and lays them out."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "random.pth")
    digest = hashlib.sha256((tmp_path / "random.pth").read_bytes()).hexdigest()
    file = f"resnet18-{digest[:8]}.pth"
    (tmp_path / "random.pth").rename(tmp_path / file)
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path))
    list(MODELS)
    spec = backbone("resnet18", 512, file, "ResNet-18.", "")
    monkeypatch.setitem(MODELS._things, "resnet18", spec)
    return digest


@pytest.fixture
def pacs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Path(os.environ.get("OODBENCH_TEST_DATA", "")) / "PACS_sample"
    if not (os.environ.get("OODBENCH_TEST_DATA") and sample.is_dir()):
        pytest.skip("needs OODBENCH_TEST_DATA to name a folder that has PACS_sample")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PACS").symlink_to(sample)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))


SWEEP: dict[str, Any] = {
    "name": "tuned",
    "datasets": [{"name": "PACS", "size": 64, "test_environments": [3]}],
    "algorithms": [
        "erm",
        {"name": "irm", "space": {"penalty_weight": 1.0, "anneal_fraction": 0.5}},
    ],
    "optimizers": [{"name": "adam", "space": {"lr": 1e-3}}],
    "model": {"name": "resnet18", "freeze_bn": False},  # its statistics are random, too
    "search": {"trials": 1},
    "train": {"steps": STEPS, "batch": {"per_environment": 8}, "evaluate_every": HALF},
}


@pytest.mark.slow
def test_a_resnet_is_trained_on_augmented_images(weights: str, pacs: None, tmp_path: Path) -> None:
    db, planned = tmp_path / "tuned.db", plan(SWEEP)
    with open_database(db, create=True) as opened:
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        add_sweep(opened, "tuned", spec, planned.studies)
    work(db, "tuned", WorkerSettings(device="cpu", stack=1))
    runs = oodbench.query(db).set_index("algorithm")
    assert runs["status"].to_dict() == {"erm": "completed", "irm": "completed"}
    assert runs[["n_id_val", "n_id", "n_ood"]].to_numpy().tolist() == [[168, 168, 224]] * 2
    for algorithm in ("erm", "irm"):
        details = oodbench.show(db, runs["run"][algorithm])
        assert details.trial.pretrained == weights
        assert dict(details.trial.model_options) == {"freeze_bn": False}
        assert dict(details.trial.dataset_options) == {"size": 64}
        assert not details.provenance["stacked"]
    losses = oodbench.query(
        db,
        sql="SELECT algorithm, step, value FROM curves JOIN runs ON runs.id = run_id "
        "WHERE metric = 'loss' ORDER BY step",
    )
    first, second = losses[losses["algorithm"] == "erm"]["value"]
    assert second < first
