"""Two workers against one, and a database of 20,000 runs against one of 1,000.

Models a second are those of whole sweeps of digits (960 models, every optimizer, ERM and IRM, 300
steps, 5 evaluations), from the first runs that are stored to the last, so without the start of the
processes. What a cohort of 32 costs beside its training is a claim and a store.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oodbench import api
from oodbench.results import Database, add_sweep, claim, open_database, store_runs
from oodbench.sweep.plan import plan
from tests.benchmarks.queue_load import SWEEP as LOAD
from tests.benchmarks.queue_load import record
from tests.benchmarks.stacks import sweep_of

COHORT, ROUNDS = 32, 10


def measure() -> Iterator[dict[str, object]]:
    """A row for each number."""
    sweep: dict[str, Any] = {**sweep_of("erm", 64, 80), "algorithms": ["erm", "irm"]}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        api.run_sweep(sweep, f"{folder}/warm.db", workers=1)  # measures the stack size
        rates = [rate(sweep, Path(folder) / f"{n}.db", workers=n) for n in (1, 2)]
        yield {"what": "models/s, one worker", "is": round(rates[0], 2)}
        yield {"what": "models/s, two workers", "is": round(rates[1], 2)}
        yield {"what": "two workers / one", "is": round(rates[1] / rates[0], 2)}
        with open_database(f"{folder}/large.db", create=True) as db:
            for stored in (1_000, 20_000):
                fill(db, stored)
                yield {
                    "what": f"claim and store {COHORT} at {stored:,} stored runs, ms a model",
                    "is": round(1e3 * cost(db), 2),
                }


def rate(sweep: dict[str, Any], db: Path, **places: Any) -> float:
    """Models a second, once the first are stored; ``places`` are those of the workers."""
    api.run_sweep(sweep, db, **places)
    finished = api.query(db, sql="SELECT finished FROM v_runs ORDER BY 1")["finished"]
    first, last = finished.iloc[0], finished.iloc[-1]
    return float((finished > first + 0.5).sum() / (last - first))


def fill(db: Database, stored: int) -> None:
    """Have so many finished runs there, and some that wait."""
    trials = stored + COHORT * ROUNDS * 2
    add_sweep(db, "load", {}, plan({**LOAD, "search": {"trials": trials // 2}}).studies)
    done = api.status(db.url)["completed"].sum()
    while done < stored:
        done += len(put(db, 500))


def put(db: Database, n: int) -> list[str]:
    """Claim runs and store made-up results for them."""
    claims = claim(db, "filler", size=n, lease=600)
    store_runs(db, [(item, record(item.trial)) for item in claims])
    return [item.run for item in claims]


def cost(db: Database) -> float:
    """Seconds a model that claiming and storing take, at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        n = len(put(db, COHORT))
        best = min(best, (time.perf_counter() - start) / n)
    return best
