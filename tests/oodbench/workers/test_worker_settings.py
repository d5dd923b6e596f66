"""The settings of workers: checked, named, and the same after they went through a command line."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import oodbench
from oodbench.cli.options import SETTINGS, takes_settings
from oodbench.errors import RequestError, UnknownNameError
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

OTHERS = WorkerSettings(
    device="cuda:1",
    stack=3,
    stack_memory=0.1,
    artifacts=Path("/a folder/of artifacts"),
    save_every=1e-3,
    processes=True,
    replica_timeout=90.0,
    loaders=0,
    compiled=True,
    cuda_graphs=True,
    nondeterministic=True,
    on_run_end="my hooks.py:note",
    profile=True,
)


def parsed(options: list[str]) -> WorkerSettings:
    """What a command that takes the settings gets from a command line."""
    got: list[WorkerSettings] = []

    @takes_settings
    def command(*, settings: WorkerSettings) -> None:
        got.append(settings)

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_a_worker_gets_every_setting_as_it_was_given() -> None:
    assert all(getattr(OTHERS, name) != getattr(DEFAULTS, name) for name in SETTINGS)
    assert parsed(OTHERS.options()) == OTHERS
    assert parsed(DEFAULTS.options()) == DEFAULTS


def test_every_setting_is_an_option_of_a_worker() -> None:
    from oodbench.cli import app

    command: Any = typer.main.get_command(app)
    offered = {param.name for param in command.commands["worker"].params}
    assert {item.name for item in fields(WorkerSettings)} <= offered


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"stack": 0}, "stack must be at least 1, but got 0"),
        ({"stack_memory": -0.5}, "stack_memory must be at least 0 GiB, but got -0.5"),
        ({"lease": 0.0}, "lease must be at least 1 second, but got 0"),
        ({"save_every": -1.0}, "save_every must be at least 0 seconds, but got -1"),
        ({"loaders": -1}, "loaders must be at least 0, but got -1"),
        ({"save_every": float("nan")}, "save_every must be at least 0 seconds, but got nan"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        WorkerSettings(**setting)


def test_a_setting_that_does_not_exist_is_told_before_there_is_a_database(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'save_every'"):
        oodbench.run_sweep("digits.yaml", tmp_path / "runs.db", save_evry=5)
    assert list(tmp_path.iterdir()) == []
