"""import domainbed, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DomainBed sweep of one run, and a file that is none."""
    args = {"dataset": "VLCS", "algorithm": "ERM", "test_envs": [0], "trial_seed": 0}
    line = {"args": {**args, "hparams_seed": 0, "seed": 1}, "hparams": {"lr": 1e-3}, "step": 0}
    line |= {f"env{i}_{part}_acc": 0.5 for i in range(4) for part in ("in", "out")}
    path = tmp_path / "theirs" / "0a1b"
    path.mkdir(parents=True)
    (path / "results.jsonl").write_text(json.dumps(line) + "\n")
    (path / "done").touch()
    (tmp_path / "theirs" / "notes.txt").touch()
    return tmp_path / "theirs"


def test_import_show_and_refusals(oodbench: Callable[..., Any], folder: Path) -> None:
    db = folder.parent / "runs.db"
    done = oodbench("import", "domainbed", folder, "--db", db, "--set", "shift=diversity")
    assert done.out.splitlines()[:3] == [
        "1 runs added, 0 there already, to the sweep theirs",
        "in all: 1 completed",
        "skipped: notes.txt: no folder of a run.",
    ]
    assert "0 runs added, 1 there" in oodbench("import", "domainbed", folder, "--db", db).out
    listed = oodbench("query", "--db", db, "--select", "id_val").out
    assert "note: DomainBed's own rule chooses the checkpoint too" in listed
    assert "note:" not in oodbench("query", "--db", db, "--select", "oracle").out
    run = listed.splitlines()[2].split()[0]
    shown = " ".join(oodbench("show", run, "--db", db).out.split())
    assert "imported from: domainbed, folder 0a1b" in shown
    assert "not known: how many examples" in shown
    refused = oodbench("reproduce", run, "--db", db)
    assert (refused.code, "cannot be trained again" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no folder. Name the --output_dir"),
        (["{}", "--set", "shift"], "--set needs NAME=VALUE, but got 'shift'"),
        (["{}", "--set", "chance=1", "--set", "chance=0"], "--set chance is given twice"),
    ],
)
def test_wrong_requests(
    oodbench: Callable[..., Any], folder: Path, arguments: list[str], message: str
) -> None:
    said = [text.replace("{}", str(folder)) for text in arguments]
    ended = oodbench("import", "domainbed", *said, "--db", folder.parent / "runs.db")
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert not (folder.parent / "runs.db").exists()
