"""What large SQLite databases take: whole commands, their peak memory, and bytes a run.

The runs are those of sweeps/twenty_thousand.yaml, with as many draws as it takes, and made-up
results. OODBENCH_RUNS says how many (default: 20000,200000), such as 1000000.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from oodbench.results import Database, add_sweep, claim, open_database, store_runs
from oodbench.sweep.files import load_sweep
from oodbench.sweep.plan import plan
from tests.benchmarks.figures import SWEEP, record
from tests.benchmarks.scaling import weight

DRAW = 324
"""Runs of each draw in the sweep: studies times splits of the data."""

CLAIMED = 500
COMMANDS = {
    "status": ["status"],
    "query --where --limit 5": ["query", "--where", "optimizer = 'adam'", "--limit", "5"],
    "query --select id_val": ["query", "--select", "id_val"],
    "plot scatter": ["plot", "scatter", "-o", "scatter.png"],
    "conclude": ["conclude"],
    "report": ["report", "-o", "report.html"],
}


def measure() -> Iterator[dict[str, object]]:
    """A row a number."""
    for runs in map(int, os.environ.get("OODBENCH_RUNS", "20000,200000").split(",")):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
            for what, value in of_size(runs, Path(folder)):
                yield {"runs": f"{runs:,}", "what": what, "value": round(value, 2)}


def of_size(runs: int, folder: Path) -> Iterator[tuple[str, float]]:
    """What is measured of a database of so many runs."""
    path = folder / "large.db"
    with open_database(path, create=True) as db:
        yield from filled(db, runs)
    for name, words in COMMANDS.items():
        taken, peak = run([*words, "--db", path.name], folder)
        yield f"{name}, seconds", taken
        yield f"{name}, peak MiB", peak
    yield "page of the report, MB", (folder / "report.html").stat().st_size / 1e6


def filled(db: Database, runs: int) -> Iterator[tuple[str, float]]:
    """Plan a sweep, and store made-up results for all of its trials."""
    began = time.perf_counter()
    spec = load_sweep(SWEEP, [f"search.trials={max(1, round(runs / DRAW))}"])
    add_sweep(db, spec.name, {}, plan(spec).studies)
    yield "planning and adding, seconds", time.perf_counter() - began
    claiming = storing = stored = 0.0
    while True:
        began = time.perf_counter()
        claims = claim(db, "filler", size=CLAIMED, lease=600)
        claiming += time.perf_counter() - began
        if not claims:
            break
        results = [(item, record(item.trial)) for item in claims]
        began = time.perf_counter()
        store_runs(db, results)
        storing += time.perf_counter() - began
        stored += len(claims)
    yield "a claim, ms a run", 1000 * claiming / stored
    yield "a store, ms a run", 1000 * storing / stored
    yield "bytes a run", weight(db) / stored


WATCHED = """import atexit, pathlib, runpy
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: pathlib.Path("memory").write_text(status.read_text()))
runpy.run_module("oodbench", run_name="__main__")"""
"""A command that leaves its memory; what the system says of a child counts its parent's, too."""


def run(words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of the whole command, and its peak memory in MiB."""
    began = time.perf_counter()
    command = [sys.executable, "-c", WATCHED, *words]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    taken = time.perf_counter() - began
    lines = (folder / "memory").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return taken, int(peak.split()[1]) / 1024
