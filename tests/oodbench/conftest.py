"""The smallest sweep that trains something, and the command line in this process."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from oodbench.cli import main

TINY: dict[str, Any] = {
    "name": "tiny",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"sampler": "random", "trials": 2, "seed": 0},
    "train": {"steps": 4, "batch": {"per_environment": 8}, "evaluate_every": 2},
}


@pytest.fixture(scope="session")
def tiny() -> Callable[..., dict[str, Any]]:
    """The tiny sweep with some keys changed."""
    return lambda **changes: {**TINY, **changes}


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny sweep with some keys changed (JSON is YAML); returns its path."""

    def write(**changes: Any) -> Path:
        path = tmp_path / f"{changes.get('name', 'tiny')}.yaml"
        path.write_text(json.dumps({**TINY, **changes}))
        return path

    return write


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU of tests that are marked ``gpu``, or what ``OODBENCH_GPU_TESTS_ON`` names instead."""
    name = os.environ.get("OODBENCH_GPU_TESTS_ON", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    return torch.device(name)


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
