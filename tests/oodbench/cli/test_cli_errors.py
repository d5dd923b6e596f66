"""Wrong requests: one clear message on stderr, no traceback, exit code 2, nothing written."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def refused(ended: Any, *parts: str) -> None:
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    for part in parts:
        assert part in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "--where", "lrr < 3"], "unknown column 'lrr'. Did you mean 'lr'?"),
        (["query", "--where", "lr <"], "The condition 'lr <' cannot be read"),
        (["query", "--sql", "DELETE FROM runs"], "Only one statement that reads is allowed"),
        (["query", "--sql", "SELECT 1", "--select", "id_val"], "sql goes alone"),
        (
            ["query", "--select", "best"],
            "unknown selection rule 'best'. Allowed: id_val, leave_one_environment_out, ood_val,",
        ),
        (["query", "--checkpoint", "first"], "Allowed: best_id_val, last."),
        (["query", "--format", "xml"], "unknown format 'xml'. Allowed: csv, json, table."),
        (["query", "--sweep", "tinny"], "unknown sweep 'tinny'. Did you mean 'tiny'?"),
        (["status", "--sweep", "tinny"], "unknown sweep 'tinny'. Did you mean 'tiny'?"),
        (["plot", "scater", "-o", "x.png"], "unknown plot 'scater'. Did you mean 'scatter'?"),
        (
            ["plot", "box", "-o", "x.gif"],
            "saved as one of .pdf, .png, .svg, but the path is 'x.gif'",
        ),
        (["plot", "box", "-o", "x.png", "--palette", "red"], "Allowed: default, study."),
        (["worker", "tinny"], "unknown sweep 'tinny'. Did you mean 'tiny'?"),
    ],
)
def test_questions_that_cannot_be_answered(
    oodbench: Run, finished: Path, arguments: list[str], message: str
) -> None:
    before = finished.read_bytes()
    ended = oodbench(*arguments, "--db", finished)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert finished.read_bytes() == before


@pytest.mark.parametrize("kind", ["datasets", "algorithms", "optimizers", "models"])
def test_unknown_names_list_the_known_ones(oodbench: Run, kind: str) -> None:
    refused(oodbench(kind, "nonesuch"), f"unknown {kind[:-1]} 'nonesuch'", "Allowed: ")


def test_a_sweep_file_with_a_mistake_makes_no_database(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(datasets=[{"name": "ColorDigits", "test_environments": [2]}])
    ended = oodbench("sweep", path, "--db", tmp_path / "runs.db")
    refused(ended, str(path), "datasets.0: unknown dataset 'ColorDigits'")
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("option", ["--workers", "--stack"])
def test_no_workers_or_no_models_at_a_time_are_refused(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path, option: str
) -> None:
    ended = oodbench("sweep", sweep_file(), "--db", tmp_path / "runs.db", option, 0)
    refused(ended, f"{option[2:]} must be at least 1, but got 0")


def databases(folder: Path, finished: Path) -> dict[str, tuple[Path, str]]:
    """Databases that cannot be used, and what is said of them."""
    (folder / "text.db").write_text("not a database, but a text that is long enough\n" * 40)
    shutil.copy(finished, folder / "newer.db")
    for name, statement in (
        ("theirs.db", "CREATE TABLE invoices (id)"),
        ("newer.db", "UPDATE oodbench_version SET version_num = '9999'"),
    ):
        with closing(sqlite3.connect(folder / name)) as connection, connection:
            connection.execute(statement)
    return {
        "missing": (folder / "none.db", "There is no database at"),
        "folder": (folder, "is a folder; give the path of a file in it"),
        "text": (folder / "text.db", "is not a SQLite database; correct the path"),
        "theirs": (folder / "theirs.db", "is not an oodbench database: it holds invoices"),
        "newer": (folder / "newer.db", "Upgrade oodbench: pip install -U oodbench"),
    }


@pytest.mark.parametrize("which", ["missing", "folder", "text", "theirs", "newer"])
def test_databases_that_cannot_be_used_are_left_alone(
    oodbench: Run,
    sweep_file: Callable[..., Path],
    finished: Path,
    tmp_path: Path,
    which: str,
) -> None:
    path, message = databases(tmp_path, finished)[which]
    before = path.read_bytes() if path.is_file() else None
    commands = [("status",), ("query",), ("worker", "tiny"), ("db", "upgrade")]
    if which != "missing":
        commands += [("sweep", sweep_file()), ("sweep", sweep_file(), "--dry-run")]
    for command in commands:
        refused(oodbench(*command, "--db", path), message)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_nothing_can_be_written_under_a_file(
    oodbench: Run, sweep_file: Callable[..., Path], finished: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    refused(oodbench("sweep", sweep_file(), "--db", file / "runs.db"), str(file), "does not exist")
    refused(oodbench("quickstart", "--out", file / "out"), f"Cannot write to {file / 'out'}: Not a")
    refused(oodbench("plot", "box", "--db", finished, "-o", file / "x.png"), "Cannot write to")
    (tmp_path / "runs.logs").write_text("")
    ended = oodbench("sweep", sweep_file(), "--db", tmp_path / "runs.db")
    assert ended.code == 2
    assert "Cannot write logs to" in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_folder_is_refused(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    refused(oodbench("sweep", sweep_file(), "--db", folder / "runs.db"), "cannot be written")
    refused(oodbench("quickstart", "--out", folder), f"Cannot write to {folder}")
