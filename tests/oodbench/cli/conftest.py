"""A finished sweep to ask about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench.results import add_sweep, open_database
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    """A database in which the tiny sweep is finished."""
    path = tmp_path_factory.mktemp("finished") / "runs.db"
    planned = plan(parse_sweep(tiny(algorithms=["erm", "irm"])))
    with open_database(path, create=True) as db:
        add_sweep(db, planned.spec.name, {}, planned.studies)
    work(path, "tiny", WorkerSettings(device="cpu"))
    return path
