"""oodbench report: a file from a database, and what is refused."""

import contextlib
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import oodbench as package
from oodbench.results import (
    ORIGIN,
    environment_accuracies,
    environment_names,
    open_database,
    origins,
    sweep_specs,
)


def test_a_database_becomes_one_file(
    oodbench: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    ended = oodbench("report", "--db", finished, "-o", path)
    assert (ended.code, ended.out.split(" (")[0]) == (0, f"wrote {path}")
    assert "judging statements" in ended.err
    page = path.read_text(encoding="utf-8")
    assert "8 runs: 8 completed" in re.sub(r"\s+", " ", page)
    assert "Sweep tiny" in page
    assert f"<dd>{finished}</dd>" in page
    assert sys.version.split()[0] in page
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_conditions_and_rules_are_said(
    oodbench: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    words = ["--where", "optimizer = 'sgd'", "--rule", "oracle", "--title", "A <b>"]
    assert oodbench("report", "--db", finished, "-o", path, *words).code == 0
    page = path.read_text(encoding="utf-8")
    assert "optimizer = &#39;sgd&#39;" in page
    assert "4 runs" in page
    assert "<h1>A &lt;b&gt;</h1>" in page
    assert "The rule oracle looks at the test environments" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "report.pdf"], "A report is an .html file"),
        (["-o", "nowhere/report.html"], "Name another place"),
        (["--where", "optimizer = 'none'"], "unknown optimizer 'none'"),
        (["--where", "steps > 1e9"], "There are no runs here"),
        (["--where", "nothing > 1"], "unknown"),
        (["--rule", "best"], "unknown selection rule 'best'"),
        (["--unit", "hours"], "unknown unit 'hours'"),
        (["--palette", "grey"], "unknown palette 'grey'"),
        (["--sweep", "other"], "unknown sweep 'other'"),
    ],
)
def test_requests_that_cannot_be_met(
    oodbench: Callable[..., Any],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = oodbench("report", "--db", finished, *words)
    assert ended.code == 2
    assert said in ended.err
    assert list(tmp_path.iterdir()) == []


def test_python_writes_the_same_file(finished: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    path = package.report(finished, tmp_path / "r.html", on_step=steps.append)
    assert path.stat().st_size > 1_500_000  # plotly.js is in it
    assert steps[0] == "reading runs"


def test_origins_are_of_the_runs_that_ended(finished: Path) -> None:
    with open_database(finished, read_only=True) as db:
        found, sweeps = origins(db), sweep_specs(db)
    assert list(found.columns) == ["run", *ORIGIN]
    assert len(found) == 8
    assert set(found["python"]) == {sys.version.split()[0]}
    assert set(found["device"]) == {"cpu"}
    assert [(sweep["name"], sweep["runs"]) for sweep in sweeps] == [("tiny", 8)]


def test_origins_are_the_same_of_runs_that_keep_their_provenance_whole(
    finished: Path, tmp_path: Path
) -> None:
    """As a database of schema 0007 does that was upgraded and not compacted."""
    with open_database(finished, read_only=True) as db:
        stored = origins(db)
    older = shutil.copy(finished, tmp_path / "older.db")
    whole = "(SELECT json_patch(shared, provenance) FROM origins WHERE id = runs.origin)"
    with contextlib.closing(sqlite3.connect(older)) as connection, connection:
        connection.execute(f"UPDATE runs SET provenance = {whole}, origin = NULL")
        connection.execute("DELETE FROM origins")
    with open_database(older, read_only=True) as db:
        pd.testing.assert_frame_equal(origins(db), stored)


def test_environments_have_their_names_and_their_accuracies(finished: Path) -> None:
    """Whose mean over the test environments is the OOD accuracy of a run, and so for ID."""
    runs = package.query(finished)
    with open_database(finished, read_only=True) as db:
        names, found = environment_names(db), environment_accuracies(db, "last")
    assert list(names) == ["ColoredDigits"]
    assert len(names["ColoredDigits"]) == 3
    assert set(found.columns) == {"run", *names["ColoredDigits"]}
    merged = runs.merge(found, on="run", validate="one_to_one")
    assert len(merged) == 8
    tested = [
        names["ColoredDigits"][int(i)] for i in merged["test_environments"].iloc[0].split(",")
    ]
    others = [name for name in names["ColoredDigits"] if name not in tested]
    assert merged[tested].mean(axis=1).tolist() == pytest.approx(merged["ood"].tolist())
    assert merged[others].mean(axis=1).tolist() == pytest.approx(merged["id"].tolist())
