"""What looking at 20,000 stored runs takes: whole commands, from the start of the process.

The runs are those of sweeps/twenty_thousand.yaml, with made-up results.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import Database, add_sweep, claim, open_database, store_runs
from oodbench.sweep.plan import plan

SWEEP, ROUNDS = "sweeps/twenty_thousand.yaml", 3
COMMANDS = ("query", *(f"plot {kind}" for kind in ("scatter", "box", "binned", "returns")))
EXAMPLES = 360
ROLES = ("id_val", "id_val", "id_test", "id_test", "ood_test")


def measure() -> Iterator[dict[str, object]]:
    """A row a command."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        with open_database(f"{folder}/large.db", create=True) as db:
            fill(db)
        for command in (*COMMANDS, "plot budget", "plot heatmap", "conclude"):
            words = [*command.split(), "--db", f"{folder}/large.db"]
            if words[0] == "plot":
                words += ["-o", f"{folder}/figure.png"]
            best = min(seconds(words) for _ in range(ROUNDS))
            yield {"command": f"oodbench {command}", "seconds, best of 3": round(best, 2)}


def fill(db: Database) -> None:
    """Store made-up results for every trial of the sweep."""
    add_sweep(db, "made-up", {}, plan(SWEEP).studies)
    while claims := claim(db, "filler", size=500, lease=600):
        store_runs(db, [(item, record(item.trial)) for item in claims])


def record(trial: Trial) -> RunRecord:
    """Accuracies between .5 and .9, the later the higher; out of distribution about half of it."""
    draw = random.Random(trial.id)
    best = draw.uniform(0.5, 0.9)
    measured = []
    for step in (60, 120, 180, 240, 300):
        for place, role in enumerate(ROLES):
            mean = best * step / 300 * (0.5 if role == "ood_test" else 1)
            value = round(EXAMPLES * (mean + draw.gauss(0, 0.01))) / EXAMPLES
            split = role[-4:].strip("_")
            measured.append(Measurement(step, str(place), split, role, "accuracy", value, EXAMPLES))
    provenance = {"seconds": 0.1, "gradient_evaluations": 300}
    return RunRecord(trial, "completed", measurements=tuple(measured), provenance=provenance)


def seconds(words: list[str]) -> float:
    """Of the whole command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "oodbench", *words], check=True, capture_output=True)
    return time.perf_counter() - start
