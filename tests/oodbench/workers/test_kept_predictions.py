"""The predictions that runs leave are those that their scores were counted from."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import oodbench
from oodbench.errors import ArtifactError, DatabaseError, UnknownNameError
from oodbench.results import (
    add_sweep,
    check_database,
    copy_database,
    merge_databases,
    open_database,
)
from oodbench.results.predictions import Predictions
from oodbench.training.loop import Run
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

CPU = WorkerSettings(device="cpu")
BOTH = [
    {"name": "ColoredDigits", "test_environments": [2], "renders": 1, "eval_renders": 2},
    {"name": "RotatedDigits", "test_environments": [0]},
]
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Make:
    """Trains the tiny sweep, with some keys changed, into a database; returns its path."""

    def making(
        file: str = "runs.db",
        settings: WorkerSettings = CPU,
        stop: Callable[[], bool] = lambda: False,
        **changes: Any,
    ) -> Path:
        planned = oodbench.plan(tiny(**changes))
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        with open_database(tmp_path / file, create=True) as db:
            add_sweep(db, planned.spec.name, spec, planned.studies)
        work(tmp_path / file, settings=settings, should_stop=stop)
        return tmp_path / file

    return making


def accuracies(found: tuple[Predictions, ...]) -> dict[tuple[str, ...], float]:
    """Run, environment and split -> the share of predictions that are the label."""
    result = {}
    for some in found:
        right = pd.DataFrame((some.predicted == some.examples["label"].to_numpy()).T)
        right.columns = list(some.runs)
        mean = right.groupby([some.examples["environment"], some.examples["split"]]).mean()
        result |= {
            (run, *place): value for place, row in mean.iterrows() for run, value in row.items()
        }
    return result


def stored(path: Path, checkpoint: str = "last") -> dict[tuple[str, ...], float]:
    """The same as training stored it."""
    steps = oodbench.query(path, checkpoint=checkpoint).set_index("run")["step"]
    sql = "SELECT * FROM curves WHERE metric = 'accuracy' AND environment != 'worst group'"
    rows = oodbench.query(path, sql=sql).itertuples()
    return {(r.run_id, r.environment, r.split): r.value for r in rows if r.step == steps[r.run_id]}


def assert_equal(one: tuple[Predictions, ...], two: tuple[Predictions, ...]) -> None:
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert (a.dataset, a.test_environments, a.data_seed, a.source) == (
            *(b.dataset, b.test_environments, b.data_seed, b.source),
        )
        order = [b.runs.index(run) for run in a.runs]
        assert np.array_equal(a.predicted, b.predicted[order])
        pd.testing.assert_frame_equal(a.examples, b.examples)


def test_they_give_the_stored_accuracy_of_every_split(make: Make) -> None:
    path = make(datasets=BOTH)
    found = oodbench.predictions(path)
    assert accuracies(found) == stored(path)
    places = [(p.dataset, p.test_environments, p.data_seed, p.source) for p in found]
    assert places == [("ColoredDigits", "2", 0, "digits"), ("RotatedDigits", "0", 0, "digits")]
    runs = oodbench.query(path)
    assert sorted(run for some in found for run in some.runs) == sorted(runs["run"])
    assert {"id_val", "id_test", "ood_test", "oracle_val"} == set(found[0].examples["role"])
    assert check_database(path).problems == ()


def test_a_stack_and_single_models_predict_the_same(make: Make) -> None:
    train = {"steps": 4, "batch": {"per_environment": 8}, "precision": "float64"}
    stacked = make("stacked.db", WorkerSettings(device="cpu", stack=32), train=train)
    single = make("single.db", WorkerSettings(device="cpu", stack=1), train=train)
    assert_equal(oodbench.predictions(stacked), oodbench.predictions(single))


def test_a_condition_chooses_runs(make: Make) -> None:
    path = make()
    runs = oodbench.query(path, "optimizer = 'adam'")["run"]
    (found,) = oodbench.predictions(path, "optimizer = 'adam'")
    assert found.runs == tuple(runs)
    assert oodbench.predictions(path, "steps > 1000") == ()
    with pytest.raises(UnknownNameError, match="checkpoint rule"):
        oodbench.predictions(path, checkpoint="first")


def test_none_are_kept_where_the_sweep_says_so(make: Make) -> None:
    kept, path = make("kept.db"), make("none.db", keep_predictions="none")
    assert oodbench.predictions(path) == ()
    assert set(oodbench.query(path)["run"]) == set(oodbench.query(kept)["run"])  # no id changes
    assert oodbench.query(path, sql="SELECT * FROM answer_keys").empty


def test_those_of_the_selected_checkpoint_are_kept_too(make: Make) -> None:
    train = {"steps": 40, "batch": {"per_environment": 8}, "evaluate_every": 5}
    path = make(train=train, keep_predictions="selected")
    assert accuracies(oodbench.predictions(path)) == stored(path)
    best = oodbench.predictions(path, checkpoint="best_id_val")
    assert accuracies(best) == stored(path, "best_id_val")
    assert (oodbench.query(path, checkpoint="best_id_val")["step"] < 40).any()


def test_those_on_a_large_test_set_are_files(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = make("inside.db")
    monkeypatch.setattr("oodbench.training.keeping.LARGE", 100)
    path = make("files.db")
    assert_equal(oodbench.predictions(path), oodbench.predictions(inside))
    folder = artifacts_folder(path) / "predictions"
    runs = oodbench.query(path)["run"]
    for file in folder.iterdir():
        run, digest = file.stem.split("-")
        assert run in set(runs)
        assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(digest)
    kept = oodbench.show(path, runs[0]).predictions["last"]
    assert (folder / kept["file"]).stat().st_size == kept["bytes"]
    elsewhere = folder.parent.rename(folder.parent.with_name("elsewhere"))
    with pytest.raises(ArtifactError, match=r"are not at .*files\.artifacts.*--artifacts"):
        oodbench.predictions(path)
    assert_equal(oodbench.predictions(path, artifacts=elsewhere), oodbench.predictions(inside))
    (elsewhere / "predictions" / kept["file"]).write_bytes(b"torn")
    with pytest.raises(ArtifactError, match="damaged or another file"):
        oodbench.predictions(path, artifacts=elsewhere)


def test_damaged_labels_are_named(make: Make) -> None:
    path = make()
    with open_database(path) as db, db.write() as connection:
        connection.exec_driver_sql("UPDATE answer_keys SET arrays = substr(arrays, 1, 100)")
    with pytest.raises(DatabaseError, match=r"The labels of .* are damaged in the database"):
        oodbench.predictions(path)


@pytest.mark.parametrize("after", [3, 4])  # in the middle, and when the last step is done
def test_a_run_that_goes_on_keeps_them(
    make: Make, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    one = {"optimizers": ["adam"], "search": {"trials": 1}, "keep_predictions": "selected"}
    whole = make("whole.db", **one)
    monkeypatch.setattr("oodbench.training.checkpoints.SOON", 0.0)
    steps, real = [], Run.step
    monkeypatch.setattr(Run, "step", lambda run, n: steps.append(n) or real(run, n))
    path = make("stopped.db", stop=lambda: len(steps) >= after, **one)
    assert oodbench.predictions(path) == ()
    work(path, settings=CPU)
    assert steps == [0, 1, 2, 3]
    for checkpoint in ("last", "best_id_val"):
        found = (oodbench.predictions(p, checkpoint=checkpoint) for p in (path, whole))
        assert_equal(*found)


def test_a_diverged_run_has_none(make: Make) -> None:
    wild = {"name": "sgd", "space": {"lr": 1e30, "weight_decay": 0.0}}
    path = make(optimizers=["adam", wild])
    states = oodbench.query(path).set_index("run")["status"]
    assert (states == "diverged").any()
    (found,) = oodbench.predictions(path)
    assert set(found.runs) == set(states.index[states == "completed"])
    assert oodbench.retry(path, "tiny", diverged=True) > 0
    assert check_database(path).problems == ()


def test_replicas_predict_as_one(make: Make) -> None:
    parallel = {"method": "local_sgd", "replicas": 2, "sync_every": 2}
    path = make(optimizers=["sgd"], parallel=parallel)
    assert accuracies(oodbench.predictions(path)) == stored(path)


def test_they_come_along_when_databases_are_copied_and_merged(make: Make, tmp_path: Path) -> None:
    first = make("first.db", optimizers=["sgd"])
    second = make("second.db", optimizers=["adam"])
    whole = make("whole.db", optimizers=["sgd", "adam"])
    copy_database(first, tmp_path / "copy.db")
    assert_equal(oodbench.predictions(tmp_path / "copy.db"), oodbench.predictions(first))
    merged = tmp_path / "merged.db"
    for _ in range(2):  # the second time nothing changes
        merge_databases(merged, [first, second])
        assert_equal(oodbench.predictions(merged), oodbench.predictions(whole))
    assert len(oodbench.query(merged, sql="SELECT * FROM answer_keys")) == 1
    assert check_database(merged).problems == ()
