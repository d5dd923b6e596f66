"""A job whose worker is a process for each replica of a run, on one node or several, by torchrun.

On the first node it keeps torchrun as other jobs keep a worker, and writes on a board where to meet
it. On the other nodes it starts torchrun whenever the board names another place: what ends anywhere
ends everywhere, and begins again together.
"""

import os
import socket
import sys
import time
import uuid
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

from oodbench.workers.executors.jobs import Job, job_name
from oodbench.workers.executors.local import worker_command
from oodbench.workers.executors.slots import make_slots, stop_workers

OVER = "over"
"""Stands on the board when nothing is left to train."""
LOOK = 1.0
"""Seconds between looks at the board."""
GRACE = 15.0
"""Seconds that processes have which must end: one that is asked to asks the others."""


class Board(Protocol):
    """Where the first node of a run writes and the others read."""

    def write(self, text: str) -> None:
        """Replace what stands there."""

    def read(self) -> str:
        """What stands there; empty at first."""


@dataclass(frozen=True)
class BoardFile:
    """A board in a folder that all nodes share.

    Attributes:
        path: The file.
    """

    path: Path

    def write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.path)

    def read(self) -> str:
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return ""


def spread_job(job: Job, nodes: int, replicas: int) -> "SpreadJob":
    """A job that trains each run on ``nodes`` nodes, with a process for each replica."""
    given = {item.name: getattr(job, item.name) for item in fields(job) if item.init}
    given |= {"settings": replace(job.settings, processes=True), "grace": GRACE}
    return SpreadJob(**given, nodes=nodes, processes=replicas // nodes)


@dataclass(frozen=True)
class SpreadJob(Job):
    """Keeps, on one node, its part of the processes that train a run; call it on each node.

    Attributes:
        nodes: How many nodes a run takes.
        processes: How many of its processes each node has.
        node: Which of the nodes this is; None: the one that SLURM says.
        board: Where they meet; None: a file beside the logs.
    """

    nodes: int = 1
    processes: int = 1
    node: int | None = None
    board: Board | None = None

    def __call__(self) -> None:
        """Train until nothing is left.

        Raises:
            RequestError: On the first node, if it was given up.
        """
        if self.rank:
            self._follow()
            return
        try:
            super().__call__()
        finally:
            self.meeting.write(OVER)

    @property
    def rank(self) -> int:
        """Which of the nodes this is."""
        return int(os.environ.get("SLURM_PROCID", 0)) if self.node is None else self.node

    @property
    def meeting(self) -> Board:
        """The board; a job that is put back in line has another one in its next turn."""
        turn = os.environ.get("SLURM_RESTART_COUNT", "0")
        path = Path(self.logs) / "meetings" / f"{job_name()}.{turn}"
        return BoardFile(path) if self.board is None else self.board

    def command(self) -> list[str]:
        """Start torchrun on the first node, at a place of which the others read."""
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        place = f"{socket.gethostname()}:{port}"
        self.meeting.write(f"{place} {uuid.uuid4().hex}")
        return self._torchrun(place)

    def variables(self, processes: int | None = None) -> dict[str, str]:
        """The environment of the processes."""
        return super().variables(self.processes)

    def _torchrun(self, place: str) -> list[str]:
        host, _, port = place.rpartition(":")
        options = {
            "nnodes": self.nodes,
            "node-rank": self.rank,
            "nproc-per-node": self.processes,
            "master-addr": host,
            "master-port": port,
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        _, *worker = worker_command(self.sweep, self.settings, self.peers)
        return [sys.executable, "-m", "torch.distributed.run", *given, *worker]

    def _follow(self) -> None:
        """Train with the first node, until it has nothing left."""
        self.slots[:] = make_slots(Path(self.logs), 1, name=f"{job_name()}-node{self.rank}")
        joined = ""
        try:
            while not self.stopping and (text := self.meeting.read()) != OVER:
                if text != joined:
                    stop_workers(self.slots)  # of an earlier meeting: they wait in vain
                    self.slots[0].start(self._torchrun(text.partition(" ")[0]), self.variables())
                    joined = text
                time.sleep(LOOK)
        finally:
            self.stop()
