"""Worker processes on this machine: started, watched, started again when they die."""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import RequestError
from oodbench.results import Database, abandon, is_done, sqlite_file, state_counts
from oodbench.workers.lease import patiently
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

POLL = 0.25
"""Seconds between looks at the workers and the database, at least."""
SHARE, LONGEST = 0.03, 5.0
"""Looking takes no more than this share of the time, however many runs there are to count; but
there are never more than so many seconds between two looks."""
LEAVING = 2.0
"""Seconds that workers have to end by themselves once all is done."""
GRACE = 5.0
"""Seconds that a worker has, when it is asked to stop, to save a run and give its trials back."""
STILLBORN = 3
"""A worker that dies so often in a row without holding a trial is given up."""
BAD_REQUEST = 2
"""Exit code of a worker that cannot do what is asked; the next one could not either."""

Counts = dict[str, int]


@dataclass
class Slot:
    """A place for one worker after another.

    Attributes:
        log: File that takes what its workers print.
        gpu: What the workers see as ``CUDA_VISIBLE_DEVICES``; None leaves it as it is.
        process: The worker that is there now.
        owner: The name under which it claims trials.
        stillborn: How many of its workers in a row died without holding a trial.
        given_up: Whether no further worker is started.
    """

    log: Path
    gpu: str | None = None
    process: "subprocess.Popen[bytes] | None" = None
    owner: str = ""
    stillborn: int = 0
    given_up: bool = False

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start a worker under a name of its own."""
        self.owner = f"{socket.gethostname()}:{self.log.stem}:{uuid.uuid4().hex[:8]}"
        pinned = {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu}
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [*command, "--owner", self.owner],
                env=environment | pinned,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C reaches this process, which stops the workers
            )

    def look(self, db: Database) -> bool:
        """Whether a worker has to be started here: there is none yet, or it has died.

        What a dead worker held goes to others at once. One that held something is always replaced:
        the trial that kills it is found by halving. One that dies again and again before it holds
        anything is not.
        """
        if self.process is None:
            return True
        code = self.process.poll()
        if code is None or code == 0 or self.given_up:
            return False
        held = patiently(lambda: abandon(db, self.owner))
        self.stillborn = 0 if held else self.stillborn + 1
        self.given_up = code == BAD_REQUEST or self.stillborn >= STILLBORN
        return not self.given_up

    def ended(self) -> bool:
        """Whether no worker runs here and none will: it had nothing left to do, or was given up.

        One that has died since the last ``look`` is not ended: the next one will replace it.
        """
        return self.process is not None and (self.given_up or self.process.poll() == 0)

    def last_words(self) -> str:
        """How the worker ended."""
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["(empty)"]
        code = None if self.process is None else self.process.returncode
        return f"\n  {self.log}, exit code {code}: {lines[-1]}"


def run_local(
    db: Database,
    target: str,
    sweep: str,
    *,
    slots: Sequence[Slot],
    settings: WorkerSettings = DEFAULTS,
    on_progress: Callable[[Counts], None],
) -> None:
    """Keep a worker in each slot until the sweep is done.

    Args:
        db: The database.
        target: Its URL or path, for the workers.
        sweep: Name of the sweep.
        slots: See ``make_slots``.
        settings: Of the workers.
        on_progress: See ``watch``.

    Raises:
        RequestError: If every slot was given up and trials are left.
        KeyboardInterrupt: As it came; the workers have stopped by then.
    """
    command = worker_command(sweep, settings, len(slots))
    # The URL goes through the environment: a command line is public, and a URL may hold a password.
    # BLAS reads its number of threads when it is loaded, before a worker could say it.
    environment = os.environ | {"OODBENCH_DB": target, "OMP_NUM_THREADS": "1"}

    def tend() -> str | None:
        for slot in slots:
            if slot.look(db):
                slot.start(command, environment)
        if not all(slot.ended() for slot in slots):
            return None
        return f". See why, and repeat:{''.join(slot.last_words() for slot in slots)}"

    try:
        watch(db, sweep, tend, on_progress)
        _wait(_processes(slots), LEAVING)  # they see by themselves that nothing is left
    finally:
        stop_workers(_processes(slots))


def watch(
    db: Database,
    sweep: str,
    tend: Callable[[], str | None],
    on_progress: Callable[[Counts], None],
) -> None:
    """Look after a sweep until it is done.

    Args:
        db: The database.
        sweep: Name of the sweep.
        tend: Looks after the workers; says how they ended if all have.
        on_progress: Called at every look with the number of runs in each state.

    Raises:
        RequestError: If every worker has ended and trials are left.
    """
    while True:
        began = time.monotonic()
        done = patiently(lambda: is_done(db, sweep))
        ends = None if done else tend()
        on_progress(patiently(lambda: state_counts(db, sweep)))
        if done:
            return
        if ends is not None and not patiently(lambda: is_done(db, sweep)):
            raise RequestError(f"Every worker has ended, and trials are left{ends}")
        looked = time.monotonic() - began
        time.sleep(min(max(POLL, looked / SHARE), LONGEST))


def worker_command(sweep: str, settings: WorkerSettings, peers: int) -> list[str]:
    """The command of a worker that ends with this process; ``peers`` share the sweep."""
    command = [sys.executable, "-m", "oodbench", "worker", sweep, *settings.options()]
    return [*command, "--parent", str(os.getpid()), "--peers", str(peers)]


def make_slots(
    logs: Path, workers: int, gpus: Sequence[str] = (), name: str = "worker"
) -> list[Slot]:
    """Places for workers, each with a log file ``worker-<n>.log``.

    Args:
        logs: Folder of the logs; created if missing.
        workers: How many places; with ``gpus``, how many on each.
        gpus: GPUs as ``CUDA_VISIBLE_DEVICES`` names them; each worker sees one.
        name: How the files' names begin.

    Raises:
        RequestError: If the folder cannot be written.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"Cannot write logs to {logs}: {error.strerror}.") from error
    seen = [gpu for gpu in gpus or (None,) for _ in range(workers)]
    return [Slot(logs / f"{name}-{i}.log", gpu) for i, gpu in enumerate(seen)]


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


def cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def log_folder(target: str) -> Path:
    """Where the workers' logs go unless told otherwise: beside a SQLite file."""
    file = sqlite_file(target)
    return Path("oodbench-logs") if file is None else file.with_suffix(".logs")


def log_of(target: str, owner: str, logs: Path | None = None) -> Path | None:
    """The log of the worker that claimed runs as ``owner``, if it is one of ``run_local``'s.

    Args:
        target: URL or path of the database.
        owner: As the database has it; the worker says it in its log.
        logs: Where the logs are, if not where they go unless told otherwise.
    """
    name = owner.split(":")[1:2]  # host:worker-0:0123abcd
    path = (logs or log_folder(target)) / f"{''.join(name)}.log"
    found = path.is_file() and owner in path.read_text(errors="replace")
    return path if found else None


def _processes(slots: Sequence[Slot]) -> "list[subprocess.Popen[bytes]]":
    return [slot.process for slot in slots if slot.process is not None]


def _wait(processes: "Sequence[subprocess.Popen[bytes]]", seconds: float) -> None:
    """Let processes end by themselves for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(p.poll() is None for p in processes):
        time.sleep(0.02)


def stop_workers(processes: "Sequence[subprocess.Popen[bytes]]", grace: float = GRACE) -> None:
    """End workers; they have ``grace`` seconds to save and give back what they hold."""
    for process in processes:
        process.terminate()
    _wait(processes, grace)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
