"""Loading, scoring and reproducing the models of a finished sweep."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import oodbench
from oodbench.data import DATASETS, Dataset, DatasetSpec, Environment, Split
from oodbench.errors import ArtifactError, QueryError, RequestError, UnknownNameError
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.training.provenance import arithmetic
from oodbench.verbs.show import different_here
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    """A database in which a sweep is finished, with the last weights of its runs beside it."""
    path = tmp_path_factory.mktemp("kept") / "runs.db"
    wild = {"name": "sgd", "space": {"lr": 1e30}}
    train = {"steps": 40, "batch": {"per_environment": 8}, "evaluate_every": 10}
    planned = plan(tiny(optimizers=["adam", wild], keep_weights="last", train=train))
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(path, create=True) as db:
        add_sweep(db, "tiny", spec, planned.studies)
    work(path, "tiny", WorkerSettings(device="cpu", stack=4))
    return path


def run_of(path: Path, optimizer: str) -> str:
    return str(oodbench.query(path, f"optimizer = '{optimizer}'")["run"].iloc[0])


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(artifacts_folder(kept), tmp_path / "runs.artifacts")
    return Path(shutil.copy(kept, tmp_path / "runs.db"))


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def weights_file(path: Path, run: str) -> Path:
    (file,) = artifacts_folder(path).glob(f"weights/{run}-*.safetensors")
    return file


def test_a_loaded_model_scores_what_training_measured(kept: Path, colored_digits: Dataset) -> None:
    run = run_of(kept, "adam")
    model = oodbench.load_model(kept, run[:6])
    assert not model.training
    measured = {
        (m["environment"], m["split"]): m["value"]
        for m in oodbench.query(
            kept, sql=f"SELECT * FROM curves WHERE run_id = '{run}' AND step = 40"
        ).to_dict("records")
    }
    for environment in colored_digits.environments:
        split = environment.splits["test"]
        with torch.no_grad():
            logits = model(torch.from_numpy(split.inputs).float() / 255)
        right = (logits.argmax(1).numpy() == split.labels).mean()
        assert right == pytest.approx(measured[environment.name, "test"], abs=1e-12)


def test_every_split_is_scored_and_compared(kept: Path) -> None:
    table = oodbench.evaluate(kept, run_of(kept, "adam"), device="cpu")
    assert len(table) == 9
    assert set(table["step"]) == {40}
    known = table[table["stored"].notna()]
    assert list(known["accuracy"]) == list(known["stored"])
    assert len(known) == 6
    by_split = table.set_index(["environment", "split"])["role"].to_dict()
    assert by_split[("+90%", "train")] == "train"
    assert by_split[("-90%", "train")] == ""
    assert by_split[("-90%", "test")] == "ood_test"
    one = oodbench.evaluate(kept, run_of(kept, "adam"), environments=[2], device="cpu")
    assert set(one["environment"]) == {"-90%"}


def constant(label: int) -> Callable[..., Dataset]:
    def build(data_seed: int) -> Dataset:
        inputs = np.zeros((10, 2, 8, 8), np.uint8)
        split = Split(inputs, np.full(10, label, np.int64), copies=2)
        return Dataset("constant", (Environment("only", {"train": split}),), 2)

    return build


def test_another_dataset_is_scored_if_it_fits(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(kept, "adam")
    found = []
    for label in (0, 1):  # the same ten black images, once of the one class, once of the other
        spec = DatasetSpec("constant", ("only",), 2, constant(label))
        monkeypatch.setitem(DATASETS._things, "constant", spec)
        table = oodbench.evaluate(kept, run, dataset="constant", device="cpu")
        assert list(table["role"]) == [""]
        assert table["stored"].isna().all()
        assert list(table["n"]) == [5]
        found += list(table["accuracy"])
    assert sorted(found) == [0.0, 1.0]
    with pytest.raises(RequestError, match=r"whose input_shape is \(2, 8, 8\); that of Rotated"):
        oodbench.evaluate(kept, run, dataset="RotatedDigits")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"run": "x"}, QueryError, "No run has an id that begins with 'x'"),
        ({"dataset": "Colored"}, UnknownNameError, "unknown dataset 'Colored'"),
        ({"environments": [3]}, RequestError, "ColoredDigits has no environment 3. It has 0 = "),
        ({"checkpoint": "best_id_val"}, ArtifactError, "were not kept; kept: last. Train it again"),
        ({"checkpoint": "first"}, UnknownNameError, "unknown checkpoint rule 'first'"),
        ({"artifacts": "nowhere"}, ArtifactError, "Name the artifacts folder that its workers"),
        ({"weights": "none.safetensors"}, ArtifactError, "Cannot read weights from none.safe"),
        ({"weights": __file__}, ArtifactError, "is no safetensors file"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    kept: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        oodbench.evaluate(kept, **{"run": run_of(kept, "adam"), "device": "cpu", **options})
    assert message in str(raised.value)


def test_weights_are_checked_and_their_loss_is_told_with_the_way_out(copy: Path) -> None:
    run = run_of(copy, "adam")
    file = weights_file(copy, run)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged or another file: its sha256 is"):
        oodbench.load_model(copy, run)
    file.unlink()
    with pytest.raises(ArtifactError, match=f"oodbench reproduce {run} --db .* --weights {run}"):
        oodbench.load_model(copy, run)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_run_is_reproduced_to_the_last_bit(kept: Path, optimizer: str) -> None:
    """It was trained in a stack of four, and is trained alone now."""
    before = kept.read_bytes()
    found = oodbench.reproduce(kept, run_of(kept, optimizer), device="cpu")
    assert found.exact
    assert found.matches
    assert found.status == (("completed",) if optimizer == "adam" else ("diverged",)) * 2
    assert (found.largest, found.differing, found.where) == (0.0, 0, "")
    assert found.weights == ({"last": True} if optimizer == "adam" else {})
    assert kept.read_bytes() == before


def test_the_new_weights_replace_lost_ones(copy: Path, tmp_path: Path) -> None:
    run = run_of(copy, "adam")
    lost = weights_file(copy, run)
    expected = lost.read_bytes()
    lost.unlink()
    file = tmp_path / "again.safetensors"
    oodbench.reproduce(copy, run, weights=file, device="cpu")
    assert file.read_bytes() == expected
    table = oodbench.evaluate(copy, run, weights=file, device="cpu")
    assert list(table["accuracy"][1:3]) == list(table["stored"][1:3])
    other = oodbench.query(copy, "optimizer = 'adam'")["run"].iloc[1]
    with pytest.raises(RequestError, match=f"has the weights of run {run}, not of {other}"):
        oodbench.evaluate(copy, other, weights=file, device="cpu")


def test_a_difference_is_measured_and_told_with_what_may_explain_it(copy: Path) -> None:
    run = run_of(copy, "adam")
    change(
        copy,
        f"UPDATE points SET value = value - 0.25 WHERE run_id = '{run}' AND step = 20 "
        "AND series_id IN (SELECT id FROM series WHERE environment = '-90%' AND split = 'test')",
    )
    change(
        copy,
        "UPDATE runs SET provenance = json_set(provenance, '$.torch', '1.0', "
        f"'$.weights[0].sha256', 'beef') WHERE id = '{run}'",
    )
    found = oodbench.reproduce(copy, run, device="cpu")
    assert not found.matches
    assert found.differing == 1
    assert found.largest == pytest.approx(0.25)
    assert found.where == "step 20, -90% test accuracy"
    assert found.weights == {"last": False}
    assert found.origins == {"torch": ("1.0", torch.__version__)}
    assert oodbench.reproduce(copy, run, tolerance=0.26, device="cpu").matches
    assert not oodbench.reproduce(copy, run, tolerance=0.24, device="cpu").matches


def test_other_arithmetic_is_named_and_older_runs_did_not_record_it(copy: Path) -> None:
    run = run_of(copy, "adam")
    change(
        copy,
        "UPDATE origins SET shared = json_remove(json_set(shared, '$.numpy_blas', 'x'), "
        "'$.processor')",
    )
    here = arithmetic("cpu")
    assert oodbench.reproduce(copy, run, device="cpu").origins == {
        "numpy_blas": ("x", here["numpy_blas"]),
        "processor": (None, here["processor"]),
    }
    assert different_here(oodbench.show(copy, run).provenance) == {"numpy_blas": here["numpy_blas"]}


def test_another_status_never_matches(copy: Path) -> None:
    run = run_of(copy, "adam")
    change(copy, f"UPDATE runs SET state = 'failed', reason = 'x' WHERE id = '{run}'")
    change(copy, f"DELETE FROM points WHERE run_id = '{run}' AND step = 40")
    change(copy, f"UPDATE runs SET provenance = '{{}}', origin = NULL WHERE id = '{run}'")
    file = copy.with_name("w.safetensors")
    found = oodbench.reproduce(copy, run, tolerance=1e9, weights=file, device="cpu")
    assert len(oodbench.evaluate(copy, run, weights=file, device="cpu")) == 9
    assert not found.matches
    assert found.status == ("failed", "completed")
    assert found.differing == 7
    assert found.largest == float("inf")


def test_bad_requests_are_refused_before_training(kept: Path, tmp_path: Path) -> None:
    run = run_of(kept, "adam")
    with pytest.raises(RequestError, match="its folder does not exist"):
        oodbench.reproduce(kept, run, weights=tmp_path / "none" / "file")
    with pytest.raises(RequestError, match="tolerance must be at least 0, but got -1"):
        oodbench.reproduce(kept, run, tolerance=-1)
