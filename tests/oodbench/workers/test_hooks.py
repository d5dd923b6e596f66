"""on_run_end: called once for each stored run, and never able to hurt a result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oodbench
from oodbench.errors import RequestError
from oodbench.results import add_sweep, open_database
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.hooks import absolute, load_hook
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

NOTE = """
from pathlib import Path

def note(run, scores):
    with Path(__file__).with_name("notes.txt").open("a") as file:
        file.write(f"{run.trial.id} {run.status} {scores['ood_test']!r}\\n")

def angry(run, scores):
    note(run, scores)
    scores.clear()
    raise (ValueError if run.trial.optimizer == "sgd" else SystemExit)("no more")

nothing = 3
"""


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    path = tmp_path / "hook.py"
    path.write_text(NOTE)
    return path


def test_several_workers_tell_every_run_once(hook: Path, tmp_path: Path, tiny: Callable) -> None:
    sweep = tiny(optimizers=["sgd", "adam"])
    oodbench.run_sweep(sweep, tmp_path / "r.db", workers=2, on_run_end=f"{hook}:note")
    told = sorted(line.split() for line in (tmp_path / "notes.txt").read_text().splitlines())
    runs = oodbench.query(tmp_path / "r.db").sort_values("run")
    assert told == [[r.run, r.status, repr(r.ood)] for r in runs.itertuples()]


def test_a_hook_that_raises_loses_nothing(
    hook: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]], capsys: Any
) -> None:
    planned = plan(parse_sweep(tiny(optimizers=["sgd", "adam"])))
    frames = []
    for name, on_run_end in (("plain", None), ("angry", f"{hook}:angry")):
        with open_database(tmp_path / f"{name}.db", create=True) as db:
            add_sweep(db, planned.spec.name, {}, planned.studies)
        done = work(
            tmp_path / f"{name}.db", None, WorkerSettings(device="cpu", on_run_end=on_run_end)
        )
        assert done.refused == 0
        frames.append(oodbench.query(tmp_path / f"{name}.db").drop(columns="seconds"))
    assert frames[0].equals(frames[1])
    said = capsys.readouterr().err
    assert said.count("stored, but on_run_end failed:") == len(frames[0])
    assert "ValueError: no more" in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hook", "named module:function or file.py:function, but got 'hook'"),
        ("nowhere/h.py:note", r"cannot be imported: FileNotFoundError"),
        ("no_such_module:note", "cannot be imported: ModuleNotFoundError"),
        ("{}:nothing", "has no function nothing"),
        ("{}:missing", "has no function missing"),
    ],
)
def test_wrong_names_are_told_before_anything_is_trained(
    hook: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]], name: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        oodbench.run_sweep(tiny(), tmp_path / "r.db", on_run_end=name.format(hook))
    assert not (tmp_path / "r.db").exists()


def test_files_are_found_from_another_folder(hook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hook.parent)
    assert absolute("hook.py:note") == f"{hook}:note"
    assert absolute("json:dumps") == "json:dumps"
    assert load_hook("json:dumps")([]) == "[]"  # type: ignore[call-arg]
