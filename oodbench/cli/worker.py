"""worker: one that takes trials until none is left."""

import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from oodbench.cli.options import Db, Root, Set, takes_settings, use_root
from oodbench.errors import RequestError
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings


@takes_settings
def worker(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep, or its file.")],
    db: Db,
    *,
    settings: WorkerSettings,
    lease: Annotated[
        float, typer.Option(help="Seconds for which a silent worker keeps its trials.")
    ] = DEFAULTS.lease,
    root: Root = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="<i/N>",
            help="Without a shared database: make --db with part i (0 to N - 1) of the sweep file.",
        ),
    ] = None,
    changes: Set = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    owner: Annotated[str | None, typer.Option(hidden=True)] = None,
    peers: Annotated[
        int, typer.Option(help="Workers that share the sweep: its last trials are divided.")
    ] = 1,
) -> None:
    """Train trials of a stored sweep until none is left.

    One pull worker, for any scheduler. SIGTERM or Ctrl-C gives back what it holds.

    Example: oodbench worker digits --db digits.db
    """
    use_root(root)
    from oodbench.training.replicas import torchrun
    from oodbench.training.replicas.local import leave
    from oodbench.workers.worker import work

    settings = replace(settings, lease=lease)
    rank = torchrun.rank() if settings.processes else None
    if rank is None:
        stop = _StopSignal(parent)
    else:  # torchrun is between this process and the one that started it
        stop = _StopSignal(os.getppid(), torchrun.GRACE if rank == 0 else 0.0, parent)
    follows = bool(rank)  # it only trains with torchrun's first process
    for one in _sweep_names(name, db, shard, changes or (), prepare=not follows):
        done = work(db, one, settings, owner=owner, peers=peers, should_stop=stop)
        if done.stopped:
            break
    if rank is not None:
        # Where all went well torchrun waits for its other nodes, for minutes if one is gone.
        leave(failed=done.stopped and not stop())


def _sweep_names(
    name: str, db: str, shard: str | None, changes: Sequence[str], prepare: bool
) -> list[str]:
    """The sweep that is named, or those of the file that is.

    With ``prepare`` the shard of each that is asked for is put into ``db``.
    """
    if changes and shard is None:
        raise RequestError(
            "--set changes what --shard draws; without it the trials are in the database already. "
            "Give --set to `oodbench sweep`."
        )
    if not name.endswith((".yaml", ".yml")):
        if shard is not None:
            raise RequestError(f"--shard needs the sweep's file, to draw its trials; got {name!r}.")
        return [name]
    from oodbench.sweep import load_sweeps

    specs = load_sweeps(name, changes)
    if shard is None or not prepare:
        return [spec.name for spec in specs]
    from oodbench.api import prepare_shard

    return [prepare_shard(spec, db, shard) for spec in specs]


class _StopSignal:
    """Whether the worker was asked to stop, or has lost the process that started it.

    Args:
        parent: Number of that process; None if the worker is to outlive it.
        grace: Seconds from a signal until it counts.
        grandparent: Number of a process that it is not to outlive either.
    """

    def __init__(
        self, parent: int | None, grace: float = 0.0, grandparent: int | None = None
    ) -> None:
        self._parent, self._grandparent = parent, grandparent
        self._grace, self._told = grace, math.inf
        # Schedulers warn with SIGUSR1 or SIGUSR2 before a job's time is over.
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"):
            number = getattr(signal, name, None)  # Windows lacks three
            if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
                continue  # nohup ignores it: the worker is to outlive its terminal
            signal.signal(number, self._tell)

    def _tell(self, number: int, frame: Any) -> None:
        self._told = min(self._told, time.monotonic() + self._grace)

    def __call__(self) -> bool:
        orphaned = self._parent is not None and os.getppid() != self._parent
        orphaned |= self._grandparent is not None and not _lives(self._grandparent)
        return orphaned or time.monotonic() >= self._told


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, by now
    return True
