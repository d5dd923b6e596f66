"""Databases to be disturbed, and a sweep file."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_helpers import SWEEP
from postgres_server import Server

NUMBERS = itertools.count()


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "faults.yaml"
    path.write_text(json.dumps(SWEEP))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Path or URL of a database of each kind in turn; it is not made yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "runs.db")
        return
    server: Server = request.getfixturevalue("server")
    name = f"faults_{next(NUMBERS)}"
    yield server.create(name)
    server.drop(name)
