"""Worker processes on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from oodbench.errors import RequestError
from oodbench.results import Database, is_done, state_counts

POLL = 0.25
"""Seconds between looks at the workers and the database."""
GRACE = 1.0
"""Seconds that a worker has to give its trials back when it is asked to stop."""

Counts = dict[str, int]


def run_local(
    db: Database,
    target: str,
    sweep: str,
    *,
    workers: int,
    device: str,
    stack: int,
    logs: Path,
    on_progress: Callable[[Counts], None],
) -> None:
    """Start the workers and wait until the sweep is done.

    Args:
        db: The database, to look at the progress.
        target: Its URL or path, for the workers.
        sweep: Name of the sweep.
        workers: How many processes.
        device: As ``oodbench worker`` takes it.
        stack: Most models trained together by one worker.
        logs: Folder for one log file per worker; created if missing.
        on_progress: Called a few times a second with the number of runs in each state.

    Raises:
        RequestError: If every worker has ended and trials are left.
        KeyboardInterrupt: As it came; the workers have stopped by then.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"Cannot write logs to {logs}: {error.strerror}.") from error
    processes: dict[Path, subprocess.Popen[bytes]] = {}
    try:
        while not is_done(db, sweep):
            if not processes:
                for log in (logs / f"worker-{i}.log" for i in range(workers)):
                    processes[log] = _start(target, sweep, device, stack, log)
            on_progress(state_counts(db, sweep))
            ended = all(process.poll() is not None for process in processes.values())
            if ended and not is_done(db, sweep):
                raise RequestError(_why(processes))
            time.sleep(POLL)
        on_progress(state_counts(db, sweep))
    finally:
        _stop(list(processes.values()))


def _start(
    target: str, sweep: str, device: str, stack: int, log: Path
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "oodbench", "worker", sweep]
    command += ["--device", device, "--stack", str(stack), "--parent", str(os.getpid())]
    # The URL goes through the environment: a command line is public, and a URL may hold a password.
    # BLAS reads its number of threads when it is loaded, before a worker could say it.
    environment = os.environ | {"OODBENCH_DB": target, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the workers
        )


def _stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _why(processes: "dict[Path, subprocess.Popen[bytes]]") -> str:
    """The exit code of each worker and the last line of its log."""
    ends = []
    for log, process in processes.items():
        lines = log.read_text(errors="replace").strip().splitlines() or ["(empty)"]
        ends.append(f"\n  {log}, exit code {process.returncode}: {lines[-1]}")
    return "Every worker has ended, and trials are left. See why, and repeat:" + "".join(ends)
