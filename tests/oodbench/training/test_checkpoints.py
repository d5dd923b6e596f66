"""A run that was interrupted ends bit for bit as one that never was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import CPU, NAMES, make_trials

from oodbench.errors import StopTrainingError
from oodbench.models import MODELS, ModelSpec
from oodbench.records import RunRecord, Trial
from oodbench.training import Saving, Tensors, train
from oodbench.training.checkpoints import written_whole
from oodbench.training.weights import read_weights

STEPS = 40
ALL_STEPS = {"every": 0.0}


class AbortError(Exception):
    """What no part of training expects."""


class TicksUntil:
    """Ends the training after so many steps."""

    def __init__(self, steps: int, error: type[Exception] = AbortError) -> None:
        self.left, self.error = steps, error

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error("now")


def saving_for(folder: Path, trial: Trial, **changes: Any) -> Saving:
    kept = {trial.id: ("last", "best_id_val")}
    return Saving(folder, **{"every": 0.0, "weights": kept, **changes})


def uninterrupted(trial: Trial, data: Tensors, folder: Path) -> RunRecord:
    (record,) = train([trial], data, saving=saving_for(folder, trial, every=1e9))
    return record


def weights(record: RunRecord, folder: Path) -> list[dict[str, torch.Tensor]]:
    files = record.provenance["weights"]
    return [read_weights(folder / "weights" / f["file"], f["sha256"])[0] for f in files]


def check_equal(found: RunRecord, expected: RunRecord, folders: list[Path]) -> None:
    assert found.status == expected.status == "completed"
    assert found.measurements == expected.measurements
    ours, theirs = (weights(r, f) for r, f in zip((found, expected), folders, strict=True))
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        assert set(a) == set(b)
        assert all(torch.equal(a[name], b[name]) for name in a)
    ignored = {"seconds", "resumed_at", "peak_memory_bytes"}
    assert {k: v for k, v in found.provenance.items() if k not in ignored} == {
        k: v for k, v in expected.provenance.items() if k not in ignored
    }


def with_dropout(input_shape: Any, num_classes: int) -> nn.Module:
    size = input_shape[0] * input_shape[1] * input_shape[2]
    first = nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.BatchNorm1d(16), nn.ReLU())
    return nn.Sequential(first, nn.Dropout(0.5), nn.Linear(16, num_classes))


@pytest.fixture
def _dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._things, "dropping", ModelSpec("dropping", with_dropout))


SETTINGS = {
    "ERM, adam": ("erm", "adam", {}),
    "ERM, momentum": ("erm", "momentum", {}),
    "IRM, restarted": ("irm", "adam", {"algorithm_options": {"restart": "same"}}),
    "IRM, going on": ("irm", "momentum", {"algorithm_options": {"restart": "none"}}),
    "IRM, restarted as Adam": ("irm", "momentum", {"algorithm_options": {"restart": "adam"}}),
    "dropout": ("erm", "adamw", {"model": "dropping", "model_options": {}}),
    "dropout, SA-SAM": ("erm", "sasam", {"model": "dropping", "model_options": {}}),
    "group DRO": ("group_dro", "sam", {}),
    "EMA, cosine": ("erm", "adam", {"average": {"ema": 0.9}, "schedule": "cosine", "warmup": 0.2}),
    "SWA": ("irm", "sgd", {"average": {"swa": 0.3}}),
    **{name: ("erm", name, {}) for name in NAMES if name not in ("adam", "momentum", "sgd")},
}


def make_trial(name: str) -> Trial:
    algorithm, optimizer, changes = SETTINGS[name]
    values = {"precision": "float32", "steps": STEPS, "evaluate_every": 9} | changes
    (trial,) = make_trials(
        1, algorithm, optimizer, hparams={"anneal_fraction": 0.5, "lr": 0.01}, **values
    )
    return trial


@pytest.mark.usefixtures("_dropping")
@pytest.mark.parametrize("name", SETTINGS)
def test_three_interruptions_change_nothing(colored32, tmp_path: Path, name: str) -> None:
    trial = make_trial(name)
    here, there = tmp_path / "here", tmp_path / "there"
    saving = saving_for(here, trial)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for steps in (7, 14, 11):  # before and after IRM's restart at step 20, and amid evaluations
        with pytest.raises(AbortError):
            train([trial], colored32, tick=TicksUntil(steps), saving=saving)
    (found,) = train([trial], colored32, saving=saving)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.provenance["resumed_at"] == [7, 21, 32]
    assert found.provenance["stacked"] == ("dropout" not in name)
    check_equal(found, uninterrupted(trial, colored32, there), [here, there])


@pytest.mark.usefixtures("_dropping")
def test_dropout_without_its_generator_would_differ(
    colored32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the test above can fail."""
    trial = make_trial("dropout")
    saving = saving_for(tmp_path, trial)
    with pytest.raises(AbortError):
        train([trial], colored32, tick=TicksUntil(20), saving=saving)
    nothing = "oodbench.training.checkpoints.set_generator_states"
    monkeypatch.setattr(nothing, lambda states, device: None)
    (found,) = train([trial], colored32, saving=saving)
    (expected,) = train([trial], colored32)
    assert found.measurements != expected.measurements


def test_a_diverged_run_goes_on_as_one(colored32, tmp_path: Path) -> None:
    trial = make_trial("ERM, momentum")
    trial = replace(trial, hparams={**trial.hparams, "lr": 1e30})
    saving = saving_for(tmp_path, trial)
    with pytest.raises(AbortError):
        train([trial], colored32, tick=TicksUntil(25), saving=saving)
    (found,) = train([trial], colored32, saving=saving)
    (expected,) = train([trial], colored32)
    assert found.status == "diverged"
    assert (found.reason, found.measurements) == (expected.reason, expected.measurements)
    assert "weights" not in found.provenance


def test_a_run_with_a_checkpoint_leaves_its_stack_and_seconds_add_up(
    colored32, tmp_path: Path
) -> None:
    trials = make_trials(3, precision="float32", steps=STEPS, evaluate_every=STEPS)
    saving = Saving(tmp_path, every=0.0)
    with pytest.raises(AbortError):
        train(trials[1:2], colored32, tick=TicksUntil(30), saving=saving)
    saved = torch.load(saving.checkpoint(trials[1].id), weights_only=True)
    assert saved["seconds"] > 0
    records = train(trials, colored32, saving=saving)
    assert [r.provenance["stack_size"] for r in records] == [2, 1, 2]
    assert [r.provenance.get("resumed_at") for r in records] == [None, [30], None]
    assert records[1].provenance["seconds"] > saved["seconds"]
    together = train(trials, colored32)
    assert [r.measurements for r in records] == [r.measurements for r in together]


@pytest.fixture
def begun(colored32, tmp_path: Path) -> tuple[Trial, Saving, Path]:
    trial = make_trial("ERM, adam")
    saving = saving_for(tmp_path, trial)
    with pytest.raises(AbortError):
        train([trial], colored32, tick=TicksUntil(20), saving=saving)
    file = saving.checkpoint(trial.id)
    assert file is not None
    return trial, saving, file


def spoil(file: Path, how: str) -> None:
    if how == "torn":
        file.write_bytes(file.read_bytes()[:-1000])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "code":
        torch.save({"format": 1, "trial": Path("x")}, file)
    elif how == "foreign":
        torch.save([1, 2, 3], file)
    else:
        torch.save({**torch.load(file), **{"trial": "beef"}}, file)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("torn", "cannot be used: "),
        ("empty", "EOFError"),
        ("code", "Weights only load failed"),
        ("foreign", "TypeError"),
        ("another trial's", "its trial is 'beef', but should be"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_training_starts_anew(
    colored32, begun, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, said: str
) -> None:
    trial, saving, file = begun
    spoil(file, how)
    (found,) = train([trial], colored32, saving=saving)
    told = capsys.readouterr().err
    assert f"run {trial.id} starts anew: {file} cannot be used: " in told
    assert said in told
    assert "resumed_at" not in found.provenance
    check_equal(found, uninterrupted(trial, colored32, tmp_path / "x"), [tmp_path, tmp_path / "x"])


def test_a_checkpoint_that_fits_half_way_leaves_no_trace(colored32, begun, tmp_path: Path) -> None:
    trial, saving, file = begun
    saved = torch.load(file)
    saved["optimizer"]["param_groups"] = []  # refused only after the parameters were read
    torch.save(saved, file)
    (found,) = train([trial], colored32, saving=saving)
    check_equal(found, uninterrupted(trial, colored32, tmp_path / "x"), [tmp_path, tmp_path / "x"])


def test_a_run_is_saved_when_its_worker_is_to_stop(
    colored32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, saved = make_trial("ERM, adam"), []
    saving = Saving(tmp_path, every=1e9, on_saved=saved.append)
    with pytest.raises(StopTrainingError):  # at once: little would be lost
        train([trial], colored32, tick=TicksUntil(2, StopTrainingError), saving=saving)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("oodbench.training.checkpoints.SOON", 0.0)
    with pytest.raises(StopTrainingError):
        train([trial], colored32, tick=TicksUntil(25, StopTrainingError), saving=saving)
    assert saved == [trial.id]
    (record,) = train([trial], colored32, saving=saving)
    assert record.provenance["resumed_at"] == [25]


def test_a_disk_that_cannot_be_written_ends_no_training(
    colored32, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial, saved = make_trial("ERM, adam"), []
    (tmp_path / "checkpoints").write_text("not a folder")
    saving = Saving(tmp_path, every=0.0, on_saved=saved.append)
    (record,) = train([trial], colored32, saving=saving)
    assert record.status == "completed"
    assert saved == []
    assert f"run {trial.id}: no checkpoint at step {STEPS}: " in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with written_whole(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), written_whole(path) as file:
        file.writelines([b"half", "text"])
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_without_a_folder_nothing_is_written(
    colored32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train([make_trial("ERM, adam")], colored32, CPU)
    assert list(tmp_path.iterdir()) == []
