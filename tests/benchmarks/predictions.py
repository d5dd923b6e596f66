"""What keeping predictions costs: the share of a sweep's CPU time that goes into it, and the size.

A part of twenty_thousand.yaml's search, with one worker in this process. Two trainings, one with
predictions and one without, differ by more than the cost itself from one time to the next, so the
calls that keep predictions are timed in one training.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from oodbench.results import add_sweep, open_database
from oodbench.results.answer_keys import put_predictions
from oodbench.sweep import load_sweep
from oodbench.sweep.plan import plan
from oodbench.training.evaluation import Evaluation
from oodbench.training.keeping import keep_predictions
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

FILE, MODELS = "sweeps/twenty_thousand.yaml", 8
"""How many models of each study are trained."""
STACK = 32


def measure() -> Iterator[dict[str, object]]:
    """A row for each setting."""
    train("none")  # what is made once
    runs, total, _, without = train("none")
    yield {"keep_predictions": "none", "runs": runs, "CPU seconds": round(total, 1),
           "KiB a run": round(without / 2**10, 2)}  # fmt: skip
    runs, total, kept, size = train("last")
    yield {
        "keep_predictions": "last",
        "runs": runs,
        "CPU seconds": round(total, 1),
        "of it keeping": round(kept, 2),
        "share": f"{kept / (total - kept):.1%}",
        "KiB a run": round(size / 2**10, 2),
        "size, to none": f"{size / without - 1:+.0%}",
    }


def train(setting: str) -> tuple[int, float, float, float]:
    """Runs, seconds of CPU time, those spent on predictions, bytes of the database for each run."""
    planned = plan(load_sweep(FILE, [f"search.trials={MODELS}", f"keep_predictions={setting}"]))
    spent: list[float] = []
    here = vars(Evaluation)["predicted_here"]
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder,
        patch("oodbench.training.keeping.keep_predictions", timed(keep_predictions, spent)),
        patch("oodbench.results.store.put_predictions", timed(put_predictions, spent)),
        patch.object(here, "func", timed(here.func, spent)),
    ):
        path = Path(folder) / "runs.db"
        with open_database(path, create=True) as db:
            spec = planned.spec.model_dump(mode="json", exclude_none=True)
            add_sweep(db, planned.spec.name, spec, planned.studies)
        start = time.process_time()
        done = work(path, settings=WorkerSettings(device="cpu", stack=STACK))
        seconds = time.process_time() - start
        with sqlite3.connect(path) as connection:
            connection.execute("VACUUM")
        return done.stored, seconds, sum(spent), path.stat().st_size / done.stored


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The function, which also adds the CPU seconds of each call to ``spent``."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append(time.thread_time() - start)

    return call
