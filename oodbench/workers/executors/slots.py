"""Places for workers on this machine: each is started, watched, and started again when it dies."""

import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import RequestError
from oodbench.machine import WORKERS_ON_GPU
from oodbench.results import Database, abandon
from oodbench.workers.executors.gpus import VISIBLE
from oodbench.workers.lease import patiently

GRACE = 5.0
"""Seconds that a worker has, when it is asked to stop, to save a run and give its trials back."""
STILLBORN = 3
"""A worker that dies so often in a row without holding a trial is given up."""
BAD_REQUEST = 2
"""Exit code of a worker that cannot do what is asked; the next one could not either."""


@dataclass
class Slot:
    """A place for one worker after another.

    Attributes:
        log: File that takes what its workers print.
        gpu: What the workers see as ``CUDA_VISIBLE_DEVICES``; None leaves it as it is.
        sharing: How many workers share that GPU's memory.
        process: The worker that is there now.
        owner: The name under which it claims trials.
        stillborn: How many of its workers in a row died without having held a trial.
        given_up: Whether no further worker is started.
    """

    log: Path
    gpu: str | None = None
    sharing: int = 1
    process: "subprocess.Popen[bytes] | None" = None
    owner: str = ""
    stillborn: int = 0
    given_up: bool = False

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start a worker under a name of its own."""
        self.owner = f"{socket.gethostname()}:{self.log.stem}:{uuid.uuid4().hex[:8]}"
        pinned = {} if self.gpu is None else {VISIBLE: self.gpu, WORKERS_ON_GPU: str(self.sharing)}
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

        What a dead worker held goes to others at once. One that held something, or gave it back, is
        always replaced: the trial that kills it is found by halving. One that dies again and again
        before it holds anything is not.
        """
        if self.process is None:
            return True
        code = self.process.poll()
        if code is None or code == 0 or self.given_up:
            return False
        held = patiently(lambda: abandon(db, self.owner))
        self.stillborn = 0 if held or self._has_trained() else self.stillborn + 1
        self.given_up = code == BAD_REQUEST or self.stillborn >= STILLBORN
        return not self.given_up

    def _has_trained(self) -> bool:
        """Whether the last worker announced a trial; see ``worker.announce``."""
        return f"worker {self.owner} trains " in self.log.read_text(errors="replace")

    def running(self) -> bool:
        """Whether a worker runs here now."""
        return self.process is not None and self.process.poll() is None

    def ended(self) -> bool:
        """Whether no worker runs here and none will: it had nothing left to do, or was given up.

        One that has died since the last ``look`` is not ended: the next one will replace it.
        """
        return self.process is not None and (self.given_up or self.process.poll() == 0)

    def last_words(self) -> str:
        """A line that reports how the worker ended."""
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["(empty)"]
        if set(lines[-1]) == {"="}:  # torchrun's account of it comes after the worker's own
            lines = [line for line in lines if line.startswith("oodbench: ")] or lines
        code = None if self.process is None else self.process.returncode
        return f"\n  {self.log}, exit code {code}: {lines[-1]}"


def make_slots(
    logs: Path, workers: int, gpus: Sequence[str] = (), name: str = "worker"
) -> list[Slot]:
    """Places for workers, each with a log file ``worker-<n>.log``.

    Args:
        logs: Folder of the logs; created if missing.
        workers: How many places.
        gpus: GPUs as ``CUDA_VISIBLE_DEVICES`` names them; each worker sees one, in turn.
        name: How the files' names begin.

    Raises:
        RequestError: If the folder cannot be written.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"Cannot write logs to {logs}: {error.strerror}.") from error
    seen = [gpus[i % len(gpus)] if gpus else None for i in range(workers)]
    sharing = -(-workers // len(gpus)) if gpus else 1
    return [Slot(logs / f"{name}-{i}.log", gpu, sharing) for i, gpu in enumerate(seen)]


def wait_for(slots: Sequence[Slot], seconds: float) -> None:
    """Let workers end by themselves for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(slot.running() for slot in slots):
        time.sleep(0.02)


def stop_workers(slots: Sequence[Slot], grace: float = GRACE) -> None:
    """End workers; they have ``grace`` seconds to save and give back what they hold."""
    processes = [slot.process for slot in slots if slot.process is not None]
    for process in processes:
        process.terminate()
    wait_for(slots, grace)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
