"""Mutated command lines, damaged databases and odd paths: an answer or one message, no traceback.

The long run (``make test-fuzz``) has 1,000 command lines and 120 damaged databases.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench.api import query

Run = Callable[..., Any]
short_and_long = pytest.mark.parametrize(
    "part", ["short", pytest.param("long", marks=pytest.mark.slow)]
)
QUESTIONS: list[tuple[str, ...]] = [
    ("status",),
    ("status", "--sweep", "tiny"),
    ("query", "--where", "optimizer = 'adam' and lr < 1e-3", "--limit", "5"),
    ("query", "--select", "id_val", "--format", "json"),
    ("query", "--sql", "SELECT count(*) FROM v_runs", "--format", "csv"),
    ("query", "--checkpoint", "best_id_val", "--sweep", "tiny"),
    ("show", "RUN"),
    ("conclude", "--where", "lr < 1"),
    ("plot", "scatter", "-o", "x.png"),
    ("plot", "box", "-o", "x.svg", "--palette", "study"),
    ("report", "-o", "r.html"),
    ("db", "check"),
    ("db", "upgrade"),
    ("export", "csv", "-o", "x.csv"),
    ("export", "json", "-o", "x.json", "--where", "status = 'completed'"),
    ("retry", "tiny", "--status", "failed"),
    ("cancel", "tiny"),
    ("sweep", "tiny.yaml", "--dry-run", "--set", "train.steps=9"),
]
"""Each is asked of a database."""
OTHERS: list[tuple[str, ...]] = [
    ("datasets",),
    ("datasets", "ColoredDigits"),
    ("optimizers", "adam", "--format", "json"),
    ("algorithms", "irm"),
    ("models", "mlp"),
    ("db", "copy", "runs.db", "copy.db"),
    ("db", "merge", "merged.db", "runs.db"),
    ("import", "csv", "x.csv", "--db", "imported.db"),
    ("cache",),
    ("sweep", "tiny.yaml", "--dry-run"),
]
ODD = [
    *("", " ", "-", "--", "-1", "0", "1e400", "nan", "9" * 400, "x" * 300, "ä\x1b[31m", "a\nb"),
    *(".", "/", "nonexistent/x", "runs.db", "tiny.yaml", "x.png"),
    *("--db", "--help", "--version", "--where", "--nonesuch", "-o", "--format", "csv", "each"),
    *(
        "lr < ",
        "'; DROP TABLE runs",
        "SELECT 1; SELECT 2",
        "id_val",
        "[0]",
        "{a: b}",
        "a=b",
        "a.b=",
    ),
    *("postgresql://x:y@127.0.0.1:1/z", "sqlite://", "sqlite:///runs.db", "http://x", "://"),
]


@pytest.fixture
def folder(
    tmp_path: Path, finished: Path, sweep_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Here a command finds a sweep file and a finished database."""
    sweep_file(algorithms=["erm", "irm"])
    shutil.copy(finished, tmp_path / "runs.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OODBENCH_DB", raising=False)
    return tmp_path


def mutated(words: list[str], draw: random.Random) -> list[str]:
    """The words of a command with one of them changed, left out, moved or put in."""
    words, at, kind = list(words), draw.randrange(len(words)), draw.randrange(5)
    if kind == 0:
        del words[at]
    elif kind == 1:
        words.insert(at, words.pop(draw.randrange(len(words))))
    elif kind == 2:
        words.insert(at + 1, draw.choice(ODD))
    elif kind == 3:
        words[at] += draw.choice(["x", "=", " ", "/", "%"])
    else:
        words[at] = draw.choice(ODD)
    return words


def answered(oodbench: Run, words: list[str]) -> None:
    """Run a command; raise unless it ends as one does."""
    try:
        ended = oodbench(*words)
    except BaseException as error:
        raise AssertionError(f"oodbench {words} raised {type(error).__name__}") from error
    assert ended.code in (0, 1, 2), (words, ended)
    assert "Traceback" not in ended.err, (words, ended)
    assert ended.code == 0 or ended.err or ended.out, words


@short_and_long
@pytest.mark.filterwarnings("ignore")  # such as of figures with few runs
def test_mutated_command_lines(oodbench: Run, folder: Path, finished: Path, part: str) -> None:
    run = query(finished)["run"].iloc[0]
    commands = [(*words, "--db", "runs.db") for words in QUESTIONS] + OTHERS
    cheap = [words for words in commands if words[0] not in ("plot", "report", "conclude")]
    for number in range({"short": 30, "long": 1000}[part]):
        draw = random.Random(f"{part} {number}")
        words = list(draw.choice(commands if draw.random() < 0.2 else cheap))
        for _ in range(draw.choice([1, 1, 2, 3])):
            words = mutated(words, draw) or ["status"]
        if "dashboard" in words or "quickstart" in words:  # they go on until they are stopped
            continue
        answered(oodbench, [run if word == "RUN" else word for word in words])
        shutil.copy(finished, folder / "runs.db")


@short_and_long
@pytest.mark.filterwarnings("ignore")
def test_damaged_databases(oodbench: Run, folder: Path, finished: Path, part: str) -> None:
    whole, path = finished.read_bytes(), folder / "runs.db"
    for number in range({"short": 4, "long": 120}[part]):
        draw, content = random.Random(f"{part} {number}"), bytearray(whole)
        if number % 3 == 0:
            for _ in range(draw.choice([5, 200])):
                content[draw.randrange(100, len(content))] = draw.randrange(256)
        elif number % 3 == 1:
            del content[draw.randrange(len(content)) :]
        else:
            start = draw.randrange(len(content) - 4096)
            content[start : start + 4096] = bytes(4096)
        for words in draw.sample(QUESTIONS, 3):
            path.write_bytes(content)
            for rest in folder.glob("runs.db-*"):
                rest.unlink()
            answered(oodbench, [*words, "--db", str(path)])


@pytest.mark.parametrize("path", [".", "/dev/null", "/dev/full", "/dev/zero", "x" * 300, ""])
@pytest.mark.parametrize(
    "command", [("status",), ("query",), ("sweep", "tiny.yaml"), ("db", "check")]
)
def test_odd_paths_of_databases_are_refused(
    oodbench: Run, folder: Path, path: str, command: tuple[str, ...]
) -> None:
    ended = oodbench(*command, "--db", path)
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("path", [".", "x" * 300, "/nonexistent/x.png", "device"])
@pytest.mark.parametrize("command", [("export", "csv"), ("report",), ("export", "json")])
def test_odd_paths_of_outputs_are_refused(
    oodbench: Run, folder: Path, path: str, command: tuple[str, ...]
) -> None:
    os.mkfifo(folder / "device")
    ended = oodbench(*command, "-o", path, "--db", "runs.db")
    assert ended.code == 2
    assert path in ended.err.splitlines()[-1]
    assert (folder / "device").is_fifo()
