"""Mutated sweep files: each is refused in words or can be planned; and what is planned trains.

The long run (``make test-fuzz``) has 6,000 of them.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from signal import SIGALRM, alarm, signal

import pytest
from fuzzed_sweeps import damaged_text, mutate, shipped

from oodbench.errors import OodbenchError
from oodbench.optimizers import OPTIMIZERS
from oodbench.sweep import SweepSpec, load_sweeps, parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.place import find_device
from oodbench.workers.trainer import Trainer

SECONDS = 30
"""For one file, of an idle machine; other tests may run beside."""
short_and_long = pytest.mark.parametrize(
    "part", ["short", pytest.param("long", marks=pytest.mark.slow)]
)
LOCAL = ("digits.yaml", "optimizers.yaml", "parallel.yaml", "twenty_thousand.yaml")
"""Those whose data come with a package."""


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal(SIGALRM, stop)
    alarm(seconds)
    try:
        yield
    finally:
        alarm(0)
        signal(SIGALRM, before)


def examined(spec: SweepSpec) -> bool:
    """Whether all of it can be built here."""
    spec.check_builds()
    whole = True
    for dataset in spec.datasets:
        if dataset.about.source is None and not dataset.about.own:
            spec.built(dataset, spec.data_seed)
        else:
            whole = False
    return whole


@short_and_long
def test_mutated_sweeps_are_refused_or_can_be_built(part: str) -> None:
    files, count = shipped(), {"short": 40, "long": 5000}[part]
    accepted = 0
    for number in range(count):
        draw = random.Random(f"{part} {number}")
        values = deepcopy(files[draw.choice([*files, *LOCAL * 3])])
        for _ in range(draw.choice([1, 1, 1, 2, 3])):
            mutate(values, draw, list(files.values()))
        try:
            with at_most(SECONDS):
                accepted += examined(parse_sweep(values))
        except OodbenchError:
            continue
        except Exception as error:
            raise AssertionError(f"{number}: {json.dumps(values)[:2000]}") from error
    assert count / 50 < accepted < count / 2  # else the mutations show little


@short_and_long
def test_damaged_files_are_refused_or_can_be_built(part: str, tmp_path: Path) -> None:
    folder, path = Path(__file__).resolve().parents[3] / "sweeps", tmp_path / "sweep.yaml"
    texts = [file.read_text() for file in sorted(folder.rglob("*.yaml"))]
    for number in range({"short": 10, "long": 1000}[part]):
        draw = random.Random(f"{part} {number}")
        path.write_bytes(damaged_text(draw.choice(texts), draw))
        try:
            with at_most(SECONDS):
                for spec in load_sweeps(path):
                    examined(spec)
        except OodbenchError:
            continue
        except Exception as error:
            raise AssertionError(f"{number}: {path.read_bytes()!r}") from error


def small(spec: SweepSpec) -> bool:
    """Whether any machine holds it, and several of it."""
    sizes = [value for value in spec.model.options.values() if isinstance(value, int)]
    replicas = [OPTIMIZERS.get(optimizer.name).replicas for optimizer in spec.contestants]
    trains = [spec.train_of(d, a) for d in spec.datasets for a in spec.algorithms]
    batches = [int(max(train.batch.sizes.values)) for train in trains]
    return max(sizes, default=0) <= 1000 and max(replicas) <= 8 and max(batches) <= 1000


@short_and_long
def test_what_is_accepted_trains(part: str) -> None:
    """No trial of an accepted sweep raises when it is trained for two steps."""
    files = shipped()
    trainer, trained, number = Trainer(find_device("cpu")), 0, 0
    while trained < {"short": 2, "long": 150}[part]:
        number += 1
        draw = random.Random(f"train {part} {number}")
        values = deepcopy(files[draw.choice(LOCAL[:3])])
        mutate(values, draw, list(files.values()))
        try:
            spec = parse_sweep(values)
            if not examined(spec) or spec.search.adaptive or not small(spec):
                continue
            train = spec.train.model_copy(update={"steps": 2, "epochs": None, "evaluate_every": 2})
            spec = spec.model_copy(
                update={
                    "datasets": [draw.choice(spec.datasets)],
                    "algorithms": [draw.choice(spec.algorithms)],
                    "optimizers": [draw.choice(spec.optimizers)],
                    "train": train,
                    "search": spec.search.model_copy(update={"trials": 1, "sampler": "random"}),
                }
            )
            trials = plan(spec).studies[0].trials[:1]
        except OodbenchError:
            continue
        short = [replace(trial, steps=2, evaluate_every=2) for trial in trials]
        records = trainer.train(short, lambda: None)
        assert [r.status for r in records if r.status == "failed"] == [], (values, records)
        trained += 1
