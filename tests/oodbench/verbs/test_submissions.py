"""Submissions to the leaderboard: an honest one passes, and each way to tamper is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from trained_here import trained_here

import oodbench
from oodbench.errors import RequestError

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    """The runs of a leaderboard: SGD and Adam, four draws each."""
    return trained_here(sweep(tiny), tmp_path_factory.mktemp("board") / "board.db")


@pytest.fixture(scope="module")
def honest(board: Path, tiny: Callable[..., dict[str, Any]]) -> Path:
    """Adam's draws alone, trained by somebody else."""
    db = trained_here(sweep(tiny, optimizers=["adam"]), board.parent / "adam.db")
    oodbench.export_runs(db, board.parent / "adam", "Adam.")
    return board.parent / "adam"


def sweep(tiny: Callable[..., dict[str, Any]], **changes: Any) -> dict[str, Any]:
    search = {"sampler": "random", "trials": 4, "seed": 0}
    return tiny(**{"search": search, **changes})


@pytest.fixture
def tampered(honest: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the honest one in which a function changed a table."""

    def change(table: str, by: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        folder = tmp_path / "tampered"
        shutil.copytree(honest, folder)
        file = folder / f"{table}.parquet"
        by(pd.read_parquet(file)).to_parquet(file, index=False)
        return folder

    return change


def edited(column: str, by: Callable[[Any], Any], row: int = 0) -> Any:
    """Changes one row of a column that holds JSON."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        value = json.loads(frame.loc[row, column])
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = json.dumps(by(value))
        return frame

    return change


def test_an_honest_submission_is_trained_again_and_passes(board: Path, honest: Path) -> None:
    found = oodbench.check_submission(honest, against=[board], retrain=2)
    assert (found.runs, found.problems, found.notes) == (4, (), ())
    assert len(found.reproduced) == 2
    assert all(one.exact for one in found.reproduced)
    again = oodbench.check_submission(honest, against=[board], retrain=2)
    assert [one.run for one in again.reproduced] == [one.run for one in found.reproduced]


def test_measurements_of_the_last_step_are_enough(
    board: Path, tampered: Callable[..., Path]
) -> None:
    """Archives may lack the others; what is trained again has them."""
    folder = tampered("curves", lambda frame: frame[frame["step"] == frame["step"].max()])
    found = oodbench.check_submission(folder, against=[board], retrain=4)
    apart = [text for text in found.problems if "trained again" in text]
    assert (len(found.reproduced), apart) == (4, [])


def better(frame: pd.DataFrame) -> pd.DataFrame:
    """Every OOD accuracy a little better than measured."""
    frame.loc[frame["role"] == "ood_test", "value"] += 0.01
    return frame


def guessed(packed: bytes) -> bytes:
    """The first prediction that was right is wrong, or the other way round."""
    return bytes([1 - packed[0], *packed[1:]])


def other_id(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(id=[f"{number:016x}" for number in range(len(frame))])


def other_lr(trial: dict[str, Any]) -> dict[str, Any]:
    return {**trial, "hparams": {**trial["hparams"], "lr": 0.00123}}


def wider(definition: dict[str, Any]) -> dict[str, Any]:
    return {**definition, "space": {**definition["space"], "lr": {"log": [1e-6, 1.0]}}}


def half(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "search": {**spec["search"], "trials": 2}}


def seeded(definition: dict[str, Any]) -> dict[str, Any]:
    return {**definition, "search_seed": 1}


def last(summary: dict[str, Any]) -> dict[str, Any]:
    return {**summary, "last": {**summary["last"], "ood_test": 0.99}}


TAMPERED = {
    "score": ("curves", better, "that their predictions do not give"),
    "summary": ("runs", edited("summary", last), "not the means of their measurements"),
    "prediction": (
        "predictions",
        lambda frame: frame.assign(packed=[guessed(one) for one in frame["packed"]]),
        "4 runs have scores that their predictions do not give",
    ),
    "trial": ("runs", edited("trial", other_lr), "1 runs are not what its search draws there"),
    "trial id": ("runs", other_id, "not of the trial that their id says"),
    "config": ("runs", lambda frame: frame.assign(config_id="a"), "another id than their trial"),
    "search space": ("studies", edited("definition", wider), "the search space of lr is"),
    "search seed": ("studies", edited("definition", seeded), "the draws are not paired"),
    "hand-picked": ("study_trials", lambda frame: frame[:2], "2 of the 4 runs .* are missing"),
    "budget": ("study_trials", lambda frame: frame[:2], "2 runs, where the leaderboard's budget"),
    "sweep": ("sweeps", edited("spec", half), "2 runs are not what its search draws there"),
    "column": ("runs", lambda frame: frame.assign(code="import os"), "a column 'code'"),
    "type": ("sweeps", lambda frame: frame.assign(spec=[[1]]), "is of the type list"),
    "damage": ("runs", lambda frame: frame.assign(trial="{"), "cannot be read as an archive"),
}


@pytest.mark.parametrize("way", TAMPERED)
def test_what_was_tampered_with_is_found(
    way: str, board: Path, tampered: Callable[..., Path]
) -> None:
    table, by, said = TAMPERED[way]
    found = oodbench.check_submission(tampered(table, by), against=[board], retrain=0)
    assert any(pd.Series([text]).str.contains(said).all() for text in found.problems), found


def test_scores_that_hold_together_but_were_never_trained(
    board: Path, tampered: Callable[..., Path]
) -> None:
    """Measurements, summaries and (no) predictions agree; training the run again shows it."""

    def nudged(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(value=frame["value"].clip(upper=0.9) + 0.1)

    folder = tampered("curves", nudged)
    (folder / "predictions.parquet").unlink()
    pd.DataFrame({"run_id": [], "checkpoint": [], "key_id": [], "packed": []}).to_parquet(
        folder / "predictions.parquet"
    )
    found = oodbench.check_submission(folder, against=[board], retrain=1)
    assert any("when it is trained again; 0.05 is allowed" in text for text in found.problems)
    assert "4 runs have no predictions to score" in found.notes


def test_the_command_says_one_line_each_and_exits_by_it(
    board: Path, honest: Path, tampered: Callable[..., Path], oodbench: Callable[..., Any]
) -> None:
    options = ("--against", board, "--retrain", 0)
    ended = oodbench("leaderboard", "check", honest, *options)
    assert (ended.code, ended.out) == (0, f"{honest}: 4 runs, no problems\n")
    folder = tampered("curves", better)
    ended = oodbench("leaderboard", "check", folder, *options)
    assert ended.code == 1
    assert ended.out.startswith("problem: 4 runs have scores")
    assert ended.out.endswith(f"{folder}: 4 runs, 2 problems\n")
    assert oodbench("leaderboard", "check", folder / "runs.parquet", *options).code == 2


def test_another_testbed_is_noted(
    board: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    train = {**tiny()["train"], "steps": 5}
    db = trained_here(sweep(tiny, optimizers=["adam"], train=train), tmp_path / "other.db")
    oodbench.export_runs(db, tmp_path / "other")
    found = oodbench.check_submission(tmp_path / "other", against=[board])
    assert found.problems == ()
    assert "a testbed that the leaderboard does not have yet" in found.notes[0]
    assert not found.reproduced  # what it would run is not known here


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="export runs"):
        oodbench.check_submission(tmp_path)
