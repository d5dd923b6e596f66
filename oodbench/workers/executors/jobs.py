"""A job: workers on one of many machines, kept alive until nothing is left to train.

It is what a task of a SLURM array or an actor of Ray runs. It asks the database for nothing unless
one of its workers has died.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.machine import WORKERS_HERE
from oodbench.results import open_database
from oodbench.workers.executors.gpus import VISIBLE
from oodbench.workers.executors.local import POLL, worker_command
from oodbench.workers.executors.slots import GRACE, Slot, make_slots, stop_workers
from oodbench.workers.lease import patiently
from oodbench.workers.worker_settings import WorkerSettings


@dataclass(frozen=True)
class Job:
    """Keeps some workers on this machine; call it.

    Attributes:
        sweep: Name of the sweep.
        settings: Settings of the workers.
        logs: Folder of the workers' logs.
        workers: How many; they see this job's GPUs in turn.
        peers: How many workers there are in all jobs together.
        grace: Seconds that they have to save and give back what they hold, when the job must end.
        environment: What they find in theirs beside that of the job. OODBENCH_DB, there or here,
            names the database.
    """

    sweep: str
    settings: WorkerSettings
    logs: str
    workers: int = 1
    peers: int = 1
    grace: float = GRACE
    environment: Mapping[str, str] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list, init=False, compare=False)
    stopping: list[bool] = field(default_factory=list, init=False, compare=False)

    def __call__(self) -> None:
        """Keep the workers until they find nothing left to train.

        Raises:
            RequestError: If all were given up.
        """
        seen = [gpu for gpu in os.environ.get(VISIBLE, "").split(",") if gpu]
        gpus = seen if self.workers > 1 else []
        self.slots[:] = make_slots(Path(self.logs), self.workers, gpus, name=job_name())
        try:
            self._keep(self.slots)
        finally:
            self.stop()

    def _keep(self, slots: Sequence[Slot]) -> None:
        environment = self.variables()
        with patiently(lambda: open_database(environment["OODBENCH_DB"])) as db:
            while not self.stopping and not all(slot.ended() for slot in slots):
                for slot in slots:
                    if slot.look(db):
                        slot.start(self.command(), environment)
                        db.close()  # a connection for each job would be many
                time.sleep(POLL)
        if not self.stopping and all(slot.given_up for slot in slots):
            raise RequestError("".join(slot.last_words() for slot in slots).strip())

    def command(self) -> list[str]:
        """What a worker is started with."""
        return worker_command(self.sweep, self.settings, self.peers)

    def variables(self, processes: int | None = None) -> dict[str, str]:
        """The environment of a worker; ``processes`` train here, by default one each."""
        own = {"OMP_NUM_THREADS": "1", WORKERS_HERE: str(processes or self.workers)}
        return os.environ | dict(self.environment) | own

    def stop(self) -> None:
        """Let the workers save what they train and give it back, and end."""
        self.stopping.append(True)
        stop_workers(self.slots, self.grace)

    def checkpoint(self) -> Any:
        """What submitit calls before the job is put back in line: its time is over, or its place
        is needed."""
        from submitit.core.utils import DelayedSubmission

        self.stop()
        return DelayedSubmission(replace(self))


def job_name() -> str:
    """What this job's workers and their logs are called: the scheduler's number is in it."""
    slurm = os.environ.get("SLURM_JOB_ID")
    if slurm is None:
        return f"job-{socket.gethostname()}-{os.getpid()}"
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"slurm-{array}_{task}" if array else f"slurm-{slurm}"


def job_of(owner: str) -> str:
    """The number of the SLURM job that a worker belongs to; empty if to none."""
    name = "".join(owner.split(":")[1:2])  # host:slurm-12_3-0:0123abcd
    return name.removeprefix("slurm-").rpartition("-")[0] if name.startswith("slurm-") else ""
