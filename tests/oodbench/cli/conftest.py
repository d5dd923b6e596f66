"""The command line in this process, and a finished sweep to ask about."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oodbench.api import plan
from oodbench.cli import main
from oodbench.results import add_sweep, open_database
from oodbench.sweep import parse_sweep
from oodbench.worker import work


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def oodbench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs a command: ``oodbench("status", "--db", path)``."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["oodbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    """A database in which the tiny sweep is finished."""
    path = tmp_path_factory.mktemp("finished") / "runs.db"
    planned = plan(parse_sweep(tiny(algorithms=["erm", "irm"])))
    with open_database(path, create=True) as db:
        add_sweep(db, planned.spec.name, {}, planned.studies)
    work(path, "tiny", device="cpu")
    return path
