"""Sweeps trained in this process: a test waits for no worker to start."""

from pathlib import Path
from typing import Any

import oodbench
from oodbench.results import add_sweep, open_database
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings


def trained_here(sweep: dict[str, Any], db: Path) -> Path:
    """The database, filled."""
    planned = oodbench.plan(sweep)
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(db, create=True) as database:
        add_sweep(database, planned.spec.name, spec, planned.studies)
    work(db, settings=WorkerSettings(device="cpu"))
    return db
