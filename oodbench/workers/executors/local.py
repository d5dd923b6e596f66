"""Worker processes on this machine: started, watched, started again when they die."""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from oodbench.errors import RequestError
from oodbench.machine import WORKERS_HERE
from oodbench.results import Database, is_done, sqlite_file, state_counts
from oodbench.workers.executors.slots import Slot, stop_workers, wait_for
from oodbench.workers.lease import patiently
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

POLL = 0.25
"""Seconds between looks at the workers and the database, at least."""
SHARE, LONGEST = 0.03, 5.0
"""Looking takes no more than this share of the time, however many runs there are to count; but
there are never more than so many seconds between two looks."""
LEAVING = 2.0
"""Seconds that workers have to end by themselves once all is done."""
Counts = dict[str, int]


def run_local(
    db: Database,
    target: str,
    sweep: str,
    *,
    slots: Sequence[Slot],
    settings: WorkerSettings = DEFAULTS,
    on_progress: Callable[[Counts], None],
) -> None:
    """Keep a worker in each slot until the sweep is done; see ``watch``.

    Raises:
        RequestError: If every slot was given up and trials are left.
        KeyboardInterrupt: As it came; the workers have stopped by then.
    """
    command = worker_command(sweep, settings, peers=len(slots))
    # The URL goes through the environment: a command line is public, and a URL may hold a password.
    # BLAS reads its number of threads when it is loaded, before a worker could say it.
    environment = os.environ | {
        "OODBENCH_DB": target,
        "OMP_NUM_THREADS": "1",
        WORKERS_HERE: str(len(slots)),
    }

    def tend() -> str | None:
        for slot in slots:
            if slot.look(db):
                slot.start(command, environment)
        words, ended = (slot.last_words() for slot in slots), all(slot.ended() for slot in slots)
        return "".join(words) if ended else None

    try:
        watch(db, sweep, tend, on_progress)
        wait_for(slots, LEAVING)  # they see by themselves that nothing is left
    finally:
        stop_workers(slots)


def watch(
    db: Database,
    sweep: str,
    tend: Callable[[], str | None],
    on_progress: Callable[[Counts], None],
) -> None:
    """Keep a sweep's workers running until it is done.

    Args:
        db: The database.
        sweep: Name of the sweep.
        tend: Looks after the workers; returns how they ended if all have.
        on_progress: Called at every look with the number of runs in each state.

    Raises:
        RequestError: If all workers exited before the sweep finished.
    """
    while True:
        began = time.monotonic()
        done = patiently(lambda: is_done(db, sweep))
        ends = None if done else tend()
        on_progress(patiently(lambda: state_counts(db, sweep)))
        if done:
            return
        if ends is not None and not patiently(lambda: is_done(db, sweep)):
            raise RequestError(
                "All workers exited before the sweep finished. Check the logs, then rerun:" + ends
            )
        looked = time.monotonic() - began
        time.sleep(min(max(POLL, looked / SHARE), LONGEST))


def worker_command(sweep: str, settings: WorkerSettings, peers: int) -> list[str]:
    """The command of a worker that ends with this process; ``peers`` share the sweep."""
    command = [sys.executable, "-m", "oodbench", "worker", sweep, *settings.options()]
    return [*command, "--parent", str(os.getpid()), "--peers", str(peers)]


def seconds_by_phase(slots: Sequence[Slot]) -> dict[str, float]:
    """Where the time of the last worker in each slot went, added up; see ``--profile``."""
    from oodbench.workers.worker import PROFILE  # late: it imports torch

    total: defaultdict[str, float] = defaultdict(float)
    for slot in slots:
        for line in slot.log.read_text(errors="replace").splitlines():
            _, said, values = line.partition(f"worker {slot.owner}: {PROFILE}")
            if said:
                for phase, seconds in json.loads(values).items():
                    total[phase] += seconds
    return dict(total)


def log_folder(target: str) -> Path:
    """The default folder of the workers' logs: beside a SQLite file."""
    file = sqlite_file(target)
    return Path("oodbench-logs") if file is None else file.with_suffix(".logs")


def log_of(target: str, owner: str, logs: Path | None = None) -> Path | None:
    """The log of the worker that claimed runs as ``owner``, if it is one of ``run_local``'s.

    Args:
        target: URL or path of the database.
        owner: Owner as in the database; the worker prints it in its log.
        logs: Folder of the logs, if not the default one.
    """
    name = owner.split(":")[1:2]  # host:worker-0:0123abcd
    path = (logs or log_folder(target)) / f"{''.join(name)}.log"
    found = path.is_file() and owner in path.read_text(errors="replace")
    return path if found else None
