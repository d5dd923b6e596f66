"""What keeping predictions costs: a sweep trained with them and without, in turns.

A part of twenty_thousand.yaml's search, with one worker in this process. Seconds are those of its
own CPU time, which other programs disturb least.
"""

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from oodbench.results import add_sweep, open_database
from oodbench.sweep import load_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

FILE, MODELS, ROUNDS = "sweeps/twenty_thousand.yaml", 8, 4
"""How many models of each study are trained, and how often with each setting."""
STACK = 32


def measure() -> Iterator[dict[str, object]]:
    """A row for each setting, the times relative to ``none``."""
    spent: dict[str, list[float]] = {"none": [], "last": []}
    sizes: dict[str, float] = {}
    train("none")  # what is made once
    for number in range(ROUNDS):
        for setting in sorted(spent, reverse=number % 2 == 0):
            seconds, sizes[setting] = train(setting)
            spent[setting].append(seconds)
    for setting, times in spent.items():
        yield {
            "keep_predictions": setting,
            "CPU seconds": " ".join(f"{one:.1f}" for one in times),
            "fastest, to none": f"{min(times) / min(spent['none']) - 1:+.1%}",
            "sum, to none": f"{sum(times) / sum(spent['none']) - 1:+.1%}",
            "KiB a run": round(sizes[setting] / 2**10, 2),
            "size, to none": f"{sizes[setting] / sizes['none'] - 1:+.0%}",
        }


def train(setting: str) -> tuple[float, float]:
    """Seconds of CPU time, and bytes of the database for each run."""
    planned = plan(load_sweep(FILE, [f"search.trials={MODELS}", f"keep_predictions={setting}"]))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        path = Path(folder) / "runs.db"
        with open_database(path, create=True) as db:
            spec = planned.spec.model_dump(mode="json", exclude_none=True)
            add_sweep(db, planned.spec.name, spec, planned.studies)
        start = time.process_time()
        done = work(path, settings=WorkerSettings(device="cpu", stack=STACK))
        seconds = time.process_time() - start
        with sqlite3.connect(path) as connection:
            connection.execute("VACUUM")
        return seconds, path.stat().st_size / done.stored
