"""What a trial means, pinned: draws as digests, what is trained as numbers.

``golden.json`` beside this file holds what the first release drew and trained. A value that differs
makes every stored trial mean something else. Where that is meant, raise the protocol version
(``oodbench.records.PROTOCOL``), once for each release, and write the file anew: ``make golden``.
"""

import hashlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from image_helpers import write_tree
from torch import nn
from wilds_fixtures import make

from oodbench.data import DATASETS
from oodbench.models import MODELS, ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import PROTOCOL, RunRecord, Trial
from oodbench.seeds import stream
from oodbench.spaces import Choice, Range, Space, log, one_minus_log, uniform
from oodbench.sweep.plan import plan
from oodbench.sweep.search import draw, grid, sobol
from oodbench.training.inputs import augmentation
from oodbench.training.inputs.batches import Batches
from oodbench.training.inputs.tensors import load
from oodbench.training.loop import build_module
from oodbench.workers.trainer import Trainer
from oodbench.workers.worker_settings import WorkerSettings

GOLDEN = Path(__file__).with_name("golden.json")
CPU = torch.device("cpu")
MNIST_ROOT = Path(os.environ.get("OODBENCH_TEST_DATA", "nowhere"))
HAS_MNIST = (MNIST_ROOT / "MNIST" / "raw").is_dir()
RTOL = 1e-4
"""Of what is trained in float64: wide enough for any BLAS, far too narrow for another protocol."""


def digest(value: Any) -> str:
    """Eight hexadecimal digits of a nested list of numbers and strings."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


# Draws

SIZES = (10, 1000, 200)
BATCHES: dict[str, tuple[dict[str, int], list[str]]] = {
    "per_environment": ({"per_environment": 6}, ["none", "classes"]),
    "environments": ({"size": 8, "environments": 2}, ["none", "classes"]),
    "pooled": ({"size": 12}, ["none", "classes", "environments", "environments+classes"]),
}


def batches(kind: str, balance: str) -> str:
    """Three blocks of batches for two seeds."""
    labels = torch.arange(sum(SIZES)) % 7 % 3
    drawn = Batches(SIZES, BATCHES[kind][0], (5, 6), CPU, labels, balance)
    return digest([drawn.at(step).tolist() for step in range(192)])


SPACE: Space = {
    "lr": log(1e-4, 1.0),
    "momentum": one_minus_log(0.5, 0.999),
    "dropout": uniform(0.0, 0.5),
    "layers": Range(1, 8, "int"),
    "kind": Choice(("a", "b", "c")),
}
DESIGNS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "random": lambda seed: draw(SPACE, 16, seed),
    "qmc": lambda seed: sobol(SPACE, 16, seed),
    "grid": lambda seed: grid(SPACE, 3),
}


# Those of the first release: one that comes later has a meaning of its own.
OPTIMIZER_NAMES = (
    *("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax"),
    *("nadam", "radam", "adafactor", "asgd", "rprop", "muon", "schedule_free_sgd"),
    *("schedule_free_adamw", "sam", "sam_adam", "sasgd", "sasam"),
)


def spaces() -> dict[str, str]:
    """What a random search draws for each optimizer that is built in."""
    return {name: digest(draw(OPTIMIZERS.get(name).space, 8, 3)) for name in OPTIMIZER_NAMES}


def augmented(recipe: str, seed: int) -> str:
    """What is done to 64 images of 32 times 48 pixels, each amount to 9 digits."""
    amounts = augmentation.draw(augmentation.RECIPES[recipe], 64, 32, 48, stream(seed, "x"))
    return digest([np.asarray(a, float).round(9).tolist() for a in astuple(amounts)])


def validated_augmented() -> str:
    """What is done once to the ID validation images."""
    options = {"folder": "images", "size": 8, "augment_id_val": True}
    data = load(DATASETS.get("ImageFolders").load(options, 0), (0,), CPU, torch.float32)
    amounts = [astuple(s.inputs.amounts) for s in data.evaluation if s.role == "id_val"]
    return digest([[np.asarray(a, float).round(9).tolist() for a in one] for one in amounts])


MODEL_OPTIONS: dict[str, dict[str, Any]] = {"mlp": {"width": 8, "depth": 2}}


def weights(model: str) -> list[list[float]]:
    """Of each tensor of a model as it begins: sum, sum of squares, first and last number."""
    trial = Trial(
        *("x", "x", (), model, "erm", "sgd", {}, 1, {"size": 4}, 1, 9),
        model_options=MODEL_OPTIONS.get(model, {}),
    )
    state = build_module(trial, (2, 28, 28), 3).state_dict()
    tensors = [value.double().flatten() for value in state.values()]
    return [[x.sum().item(), (x**2).sum().item(), x[0].item(), x[-1].item()] for x in tensors]


def fingerprint(name: str, options: Mapping[str, Any], data_seed: int) -> str:
    """Of all examples, labels and splits of a dataset, colours and angles included."""
    if "MNIST" in name and not HAS_MNIST:
        pytest.skip("needs MNIST: set OODBENCH_TEST_DATA to a folder that has MNIST/raw")
    return DATASETS.get(name).resolved(options).load(options, data_seed).fingerprint


DATA: dict[str, dict[str, Any]] = {
    "ColoredDigits": {},
    "RotatedDigits": {},
    "ColoredMNIST": {"size": 14},
    "ImageFolders": {"folder": "images", "size": 8},
    "Table": {"file": "mails.csv", "words": 8},
    "Camelyon17": {"size": 16},
    "CivilComments": {"words": 20},
}

# What is trained

DIGITS: dict[str, Any] = {"name": "ColoredDigits", "test_environments": [2]}
BASE: dict[str, Any] = {
    "name": "protocol",
    "datasets": [DIGITS],
    "algorithms": ["erm"],
    "optimizers": [{"name": "momentum", "space": {"lr": {"log": [0.01, 0.1]}}}],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 2, "seed": 4},
    "train": {},
}
TRAIN: dict[str, Any] = {
    "steps": 70,  # more than a block of batches
    "batch": {"per_environment": 8},
    "evaluate_every": 14,
    "precision": "float64",
}


def sweep(train: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**BASE, **changes, "train": {**TRAIN, **(train or {})}}


def on(name: str, *test: int, **train: Any) -> dict[str, Any]:
    """The sweep on another dataset."""
    tested = {"test_environments": list(test)} if test else {}
    return sweep(train, datasets=[{"name": name, **tested, **DATA[name]}])


# One for each algorithm, kind of batch, setting of training, design, and family of datasets.
SWEEPS: dict[str, dict[str, Any]] = {
    "irm": sweep(algorithms=["irm"]),
    "vrex": sweep(algorithms=["vrex"]),
    "group_dro": sweep(algorithms=["group_dro"]),
    "coral": sweep(algorithms=["coral"]),
    "per_environment": sweep(),
    "environments": sweep({"batch": {"size": 8, "environments": 2}}),
    "pooled": sweep({"batch": {"size": 16}}),
    "epochs": sweep({"steps": None, "epochs": 0.5, "batch": {"size": 64}, "evaluate_every": None}),
    "balance": sweep({"balance": "environments+classes", "batch": {"size": 16}}),
    "schedule": sweep({"schedule": "cosine", "warmup": 0.1, "clip_norm": 0.5}),
    "label_smoothing": sweep({"label_smoothing": 0.1}),
    "ema": sweep({"average": {"ema": 0.9}}),
    "swa": sweep({"average": {"swa": 0.5}}),
    "float32": sweep({"precision": "float32"}),
    "dropout": sweep(model={"name": "dropping"}),
    "qmc": sweep(search={"sampler": "qmc", "trials": 2, "seed": 1}),
    "grid": sweep(search={"sampler": "grid", "points": 2, "seed": 1}),
    "seeds": sweep(seeds=2, data_seed=3),
    "batch_size": sweep({"batch": {"per_environment": {"choice": [4, 8]}}}),
    "optimizers": sweep(optimizers=[{"name": name} for name in OPTIMIZER_NAMES]),
    "RotatedDigits": on("RotatedDigits", 0),
    "ColoredMNIST": on("ColoredMNIST", 2),
    "ImageFolders": on("ImageFolders", 0),
    "Table": on("Table"),
    "Camelyon17": on("Camelyon17"),
    "CivilComments": on("CivilComments", batch={"size": 16}),
}
PARALLEL = {
    "ddp": {},
    "local_sgd": {"sync_warmup": 5, "sync_every": 4},
    "diloco": {"sync_warmup": 5, "sync_every": 4},
    "palsgd": {"sync_warmup": 5, "sync_every": 4},
}
SWEEPS |= {
    name: sweep(parallel=[{"method": name, "replicas": 2, **settings}])
    for name, settings in PARALLEL.items()
}


def dropping(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model with dropout: such a one is trained alone."""
    layer = nn.Linear(math.prod(input_shape), num_classes)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), layer)


def trained(name: str) -> dict[str, Any]:
    """Ids of a sweep's trials, what they draw, where they are measured, and what comes out."""
    if "MNIST" in name and not HAS_MNIST:
        pytest.skip("needs MNIST: set OODBENCH_TEST_DATA to a folder that has MNIST/raw")
    trials = [trial for study in plan(SWEEPS[name]).studies for trial in study.trials]
    found: dict[str, RunRecord] = {}
    for key in dict.fromkeys(trial.cohort_key for trial in trials):
        cohort = [trial for trial in trials if trial.cohort_key == key]
        records = Trainer(CPU, WorkerSettings(stack=len(cohort))).train(cohort, lambda: None)
        found |= {record.trial.id: record for record in records}
    records = [found[trial.id] for trial in trials]
    assert {record.status for record in records} == {"completed"}, records[0].reason
    return {
        "ids": [trial.id for trial in trials],
        "hparams": digest([dict(trial.hparams) for trial in trials]),
        "measured": digest([places(record) for record in records]),
        "losses": [values(record, "loss") for record in records],
        # The last ones; in float32 another BLAS may turn a near tie.
        "accuracies": [
            values(record, "accuracy", record.trial.steps)
            for record in records
            if record.trial.precision == "float64"
        ],
    }


def values(record: RunRecord, metric: str, step: int = 0) -> list[float]:
    """What was measured from a step on."""
    measured = (m for m in record.measurements if m.metric == metric and m.step >= step)
    return [float(f"{m.value:.8g}") for m in measured]


def places(record: RunRecord) -> list[Any]:
    """Where and of how many examples something was measured."""
    return sorted(
        [m.step, m.environment, m.split, m.role, m.metric, m.n] for m in record.measurements
    )


def diverged() -> list[Any]:
    """A run whose first step is no longer finite: when that is seen decides what is stored."""
    space = {"lr": 1e39, "momentum": 0.9, "weight_decay": 0.0}
    given = sweep({"precision": "float32"}, optimizers=[{"name": "momentum", "space": space}])
    (study,) = plan(given).studies
    (record,) = Trainer(CPU).train(study.trials[:1], lambda: None)
    return [record.status, record.reason, record.provenance["gradient_evaluations"]]


# All of it, by name

VALUES: dict[str, Callable[[], Any]] = {"protocol": lambda: PROTOCOL}
for kind, (_, balances) in BATCHES.items():
    for balance in balances:
        VALUES[f"batches {kind} {balance}"] = lambda k=kind, b=balance: batches(k, b)
for sampler, design in DESIGNS.items():
    VALUES[f"design {sampler}"] = lambda d=design: digest([d(0), d(1)])
VALUES["design of each optimizer"] = lambda: spaces()
for recipe in ("domainbed", "domainbed_uncropped"):
    VALUES[f"augmentation {recipe}"] = lambda r=recipe: [augmented(r, 0), augmented(r, 1)]
VALUES["augmentation of validation"] = lambda: validated_augmented()
for model in ("mlp", "mnist_cnn", "linear"):
    VALUES[f"weights {model}"] = lambda m=model: weights(m)
for name, options in DATA.items():
    VALUES[f"data {name}"] = lambda n=name, o=options: [fingerprint(n, o, s) for s in (0, 1)]
for name in SWEEPS:
    VALUES[f"trained {name}"] = lambda n=name: trained(n)
VALUES["trained until it diverged"] = lambda: diverged()


def prepare(root: Path) -> None:
    """A data folder: small images and texts made from seeds, and MNIST where it is."""
    write_tree(root / "images", environments=("a", "b", "c"), classes=("x", "y"), count=12)
    rng = np.random.default_rng(0)
    label = rng.choice(["ham", "spam"], 120)
    words = {"ham": "meeting notes attached", "spam": "cheap pills, buy now"}
    text = [f"{words[kind]} {rng.integers(100)}" for kind in label]
    split = np.repeat(["train", "train", "id_val", "id_test", "ood_test"], 24)
    table = {"text": text, "label": label, "environment": rng.choice([9, 10], 120), "split": split}
    pd.DataFrame(table).to_csv(root / "mails.csv", index=False)
    for name in ("Camelyon17", "CivilComments"):
        make(root, name)


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("data")
    prepare(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODELS, "_things", dict(MODELS._things))
        MODELS.add(ModelSpec("dropping", dropping))
        patch.setenv("OODBENCH_DATA", os.pathsep.join([str(folder), str(MNIST_ROOT)]))
        patch.setitem(DATASETS.get("Table").options, "duplicates", "keep")  # its mails are few
        yield


def differences(found: Any, golden: Any, where: str = "") -> Iterator[str]:
    """Where two values differ: floats by more than ``RTOL``, all else at all."""
    if isinstance(golden, dict) and isinstance(found, dict) and found.keys() == golden.keys():
        for key in golden:
            yield from differences(found[key], golden[key], f"{where}, {key}")
    elif isinstance(golden, list) and isinstance(found, list) and len(found) == len(golden):
        for i, pair in enumerate(zip(found, golden, strict=True)):
            yield from differences(*pair, f"{where}[{i}]")
    elif isinstance(golden, float) and isinstance(found, float):
        if found != pytest.approx(golden, rel=RTOL, abs=1e-9):
            yield f"{where}: {found}, was {golden}"
    elif found != golden:
        yield f"{where}: {found}, was {golden}"


@pytest.mark.parametrize("name", VALUES)
def test_a_trial_means_the_same_as_ever(name: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden.keys() == VALUES.keys()
    found = list(differences(VALUES[name](), golden[name], name))
    assert not found, (
        "this changes every stored trial: raise the protocol version (oodbench.records.PROTOCOL); "
        + "; ".join(found[:3])
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        os.environ["OODBENCH_DATA"] = os.pathsep.join([made, str(MNIST_ROOT)])
        os.environ["OODBENCH_CACHE"] = made
        DATASETS.get("Table").options["duplicates"] = "keep"  # type: ignore[index]
        torch.set_num_threads(1)
        prepare(Path(made))
        MODELS.add(ModelSpec("dropping", dropping))
        lines = [f"{json.dumps(name)}: {json.dumps(value())}" for name, value in VALUES.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")
