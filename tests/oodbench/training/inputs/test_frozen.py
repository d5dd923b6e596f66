"""Frozen features: computed once, equal to the network's, heads trained on them in stacks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import oodbench
from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Split
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.models.spec import ModelSpec
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.training import Clock
from oodbench.workers.trial_data import tensors_for
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

STORED = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)


def build(data_seed: int) -> Dataset:
    """Three environments of 20 images; the label is whether an image is bright."""
    labels = (STORED.mean(axis=(1, 2, 3)) > STORED.mean()).astype(np.int64)
    environments = []
    for i, name in enumerate("abc"):
        rows = np.arange(20 * i, 20 * i + 20)
        parts = {"train": rows[:12], "val": rows[12:16], "test": rows[16:]}
        environments.append(
            Environment(name, {p: Split(Rows(STORED, r), labels[r]) for p, r in parts.items()})
        )
    return Dataset("Bright", tuple(environments), 2, content="bright", augment="domainbed")


class Body(nn.Module):
    """Two known features: mean of the image and of its first channel; counts the images it saw."""

    seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Body.seen += len(x)
        return torch.stack([x.mean((1, 2, 3)), x[:, 0].mean((1, 2))], 1)


BODY = ModelSpec(
    "bright_body",
    lambda input_shape, num_classes, train: nn.Sequential(nn.Linear(input_shape[0], num_classes)),
    options={"train": ("all", "head")},
    pretrained=lambda options: "ab" * 32,
    frozen=lambda options: Body() if options["train"] == "head" else None,
)
SWEEP = {
    "name": "bright",
    "datasets": [{"name": "Bright", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "bright_body", "train": "head"},
    "search": {"trials": 2},
    "train": {"steps": 5, "batch": {"per_environment": 4}},
    "keep_weights": "last",
}


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oodbench.data import DATASETS
    from oodbench.workers.trial_data import _tensors

    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    for registry, thing in (
        (DATASETS, DatasetSpec("Bright", tuple("abc"), 2, build)),
        (MODELS, BODY),
    ):
        list(registry)  # entry points are read first
        monkeypatch.setitem(registry._things, thing.name, thing)
    _tensors.cache_clear()
    Body.seen = 0


def trial():
    return plan(SWEEP).studies[0].trials[0]


def test_features_are_the_networks_and_are_computed_once(capsys) -> None:
    from oodbench.workers.trial_data import _tensors

    data = tensors_for(trial(), torch.device("cpu"))
    assert capsys.readouterr().err.splitlines() == [
        "computing Bright-bright_body-features: 0 of 60 examples",
        "computed Bright-bright_body-features: 60 examples",
    ]
    assert data.shape == (2,)
    assert data.augment == ""
    x = torch.from_numpy(STORED[[*range(12), *range(20, 32)]]).float() / 255
    torch.testing.assert_close(data.inputs[0:24], Body()(x))
    seen = Body.seen
    _tensors.cache_clear()  # another worker
    tensors_for(trial(), torch.device("cpu"))
    assert Body.seen == seen + 1  # one image, to know how many features there are


def test_the_time_of_features_is_a_phase_of_its_own() -> None:
    clock = Clock()
    tensors_for(trial(), torch.device("cpu"), clock)
    assert set(clock.seconds) == {"loading data", "frozen features"}
    assert clock.seconds["frozen features"] > 0
    before = dict(clock.seconds)
    tensors_for(trial(), torch.device("cpu"), clock)  # kept in memory
    assert clock.seconds == before


def test_other_weights_on_another_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trial()
    assert asked.pretrained == "ab" * 32
    other = ModelSpec(BODY.name, BODY.build, BODY.options, pretrained=lambda options: "cd" * 32)
    monkeypatch.setitem(MODELS._things, BODY.name, other)
    with pytest.raises(RequestError, match=r"sha256 cdcd.* but the sweep was made with abab"):
        tensors_for(asked, torch.device("cpu"))


@pytest.mark.parametrize("precision", ["float32", "float64", "bf16"])
def test_heads_are_trained_kept_evaluated_and_loaded_whole(tmp_path: Path, precision: str) -> None:
    train = {**SWEEP["train"], "precision": precision}
    db, planned = tmp_path / "bright.db", plan({**SWEEP, "train": train})
    with open_database(db, create=True) as opened:
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        add_sweep(opened, "bright", spec, planned.studies)
    work(db, "bright", WorkerSettings(device="cpu", stack=4))
    runs = oodbench.query(db)
    assert runs["status"].tolist() == ["completed"] * 4
    run = runs["run"][0]
    assert oodbench.show(db, run).provenance["stacked"]
    table = oodbench.evaluate(db, run)
    scored = table[table["stored"].notna()]
    assert scored.set_index(["environment", "split"])["n"].to_dict() == {
        ("a", "val"): 4,
        ("a", "test"): 4,
        ("b", "val"): 4,
        ("b", "test"): 4,
        ("c", "val"): 4,
        ("c", "train+test"): 16,
    }
    np.testing.assert_allclose(scored["accuracy"], scored["stored"])
    model = oodbench.load_model(db, run)
    assert not any(part.training for part in model.modules())
    x = torch.from_numpy(STORED[40:60]).float() / 255
    labels = np.concatenate([s.labels for s in build(0).environments[2].splits.values()])
    right = model(x).argmax(1).numpy() == labels
    (val,) = table[(table["environment"] == "c") & (table["split"] == "val")]["accuracy"]
    assert right[12:16].mean() == val
