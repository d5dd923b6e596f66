"""One trial on K processes of this machine: started, watched and ended together.

A process that dies or raises ends the others at once, so that none of them waits for it.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch.distributed as dist
from torch import multiprocessing as torch_multiprocessing

from oodbench.errors import OodbenchError
from oodbench.records import RunRecord, Trial
from oodbench.training.checkpoints import NOTHING, Saving, tell_nobody
from oodbench.training.clock import Clock, clock_of
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.keeping import keep
from oodbench.training.loop import Run, build_module
from oodbench.training.outcome import records_of
from oodbench.training.precision import numerics
from oodbench.training.replicas.processes import PLAIN, Apart, ProcessSettings, barrier
from oodbench.training.stack import stackable

POLL = 0.2
"""Seconds between looks at the processes."""
GRACE = 2.0
"""Seconds that a process has to end when it is asked to, before it is killed."""


def run_on_processes(
    trial: Trial,
    data: Tensors,
    device: torch.device,
    tick: Callable[[], None] = lambda: None,
    saving: Saving = NOTHING,
    target: Callable[[Trial, Tensors, torch.device], RunRecord] | None = None,
    settings: ProcessSettings = PLAIN,
) -> RunRecord:
    """Train one trial, each replica in a process of its own, and return its record.

    Args:
        trial: Trial with ``parallel`` and ``replicas``.
        data: See ``oodbench.training.inputs.tensors.load``; on the CPU, whose memory is shared.
        device: ``cpu``; the backend is gloo.
        tick: Called several times a second; what it raises ends the processes.
        saving: Which weights are left on disk.
        target: What each process does, once the group is there; by default it trains.
        settings: How the processes work.

    Raises:
        OodbenchError: If a process died or raised; gives its number and its error.
    """
    # Only this user can enter the folder, so what is pickled there is our own.
    context = torch_multiprocessing.get_context("spawn")
    mine = replace(saving, on_saved=tell_nobody)  # no replica has the database
    with tempfile.TemporaryDirectory(prefix="oodbench-") as folder:
        place = Path(folder)
        target = target or partial(train_replica, saving=mine, settings=settings)
        arguments = (trial, data, device, place, target, settings.timeout)
        processes: list[BaseProcess] = [
            context.Process(target=replica, args=(rank, *arguments), daemon=True)
            for rank in range(trial.replicas)
        ]
        try:
            for process in processes:
                process.start()
            watch(processes, place, tick)
        finally:
            end(processes)
        record: RunRecord = pickle.loads((place / "record").read_bytes())
        return record


def watch(processes: list[BaseProcess], place: Path, tick: Callable[[], None]) -> None:
    """Wait until all processes have ended well.

    Raises:
        OodbenchError: As soon as one has not.
    """
    while any(process.exitcode is None for process in processes):
        tick()
        time.sleep(POLL)
        check(processes, place)
    check(processes, place)


def check(processes: list[BaseProcess], place: Path) -> None:
    """Raise OodbenchError if a process ended badly.

    A killed process is the cause of what happens to the others: they raise, or Gloo aborts them
    (SIGABRT). So other signals are reported before SIGABRT, and SIGABRT before an error. Of several
    errors the first is reported.
    """
    codes = [process.exitcode or 0 for process in processes]
    killed = [(code == -signal.SIGABRT, number) for number, code in enumerate(codes) if code < 0]
    if killed:
        _, number = min(killed)
        raise OodbenchError(
            f"the process of replica {number} of {len(codes)} was killed by signal "
            f"{-codes[number]}; was it out of memory?"
        )
    for file in sorted(place.glob("error-*"), key=lambda file: file.stat().st_mtime_ns):
        said = file.read_text(encoding="utf-8")
        raise OodbenchError(f"replica {file.name.removeprefix('error-')} raised {said}")
    for number, code in enumerate(codes):
        if code > 0:
            raise OodbenchError(f"the process of replica {number} ended with exit code {code}")


def end(processes: list[BaseProcess]) -> None:
    """End the processes that still run."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        if process.pid is not None:
            process.join(GRACE)
            if process.is_alive():
                process.kill()
                process.join()


def replica(
    rank: int,
    trial: Trial,
    data: Tensors,
    device: torch.device,
    place: Path,
    target: Callable[[Trial, Tensors, torch.device], RunRecord],
    timeout: float,
) -> None:
    """What one process does: join the others (by a file, so no port is taken), train, report."""
    prepare_for_cpu()
    threading.Thread(target=die_with_the_parent, daemon=True).start()
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{place / 'meeting'}",
            rank=rank,
            world_size=trial.replicas,
            timeout=timedelta(seconds=timeout),
        )
        record = target(trial, data, device)
        if rank == 0:
            (place / "record").write_bytes(pickle.dumps(record))
        dist.barrier()
        dist.destroy_process_group()
        leave()
    except BaseException as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        draft = place / f"draft-{rank}"
        draft.write_text(said, encoding="utf-8")
        draft.rename(place / f"error-{rank}")
        raise SystemExit(1) from error


def leave(failed: bool = False) -> None:
    """End this process at once: well, or so that torchrun starts all of them again.

    Not by the end of the interpreter: a thread of gloo that lets go of a tensor only then aborts
    the process (pytorch/pytorch#179291), all of whose work is done.

    Args:
        failed: Whether runs are left, since another process was asked to stop.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(failed))


def die_with_the_parent() -> None:
    """End this process as soon as the one that started it is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def train_replica(
    trial: Trial,
    data: Tensors,
    device: torch.device,
    saving: Saving = NOTHING,
    group: dist.ProcessGroup | None = None,
    tick: Callable[[], None] = lambda: None,
    settings: ProcessSettings = PLAIN,
) -> RunRecord:
    """Train this process's replica in a group of processes, by default of all.

    The first replica leaves weights on disk. What ``tick``, called after every step, raises ends
    the training.
    """
    module = build_module(trial, data.shape, data.num_classes)
    timed = settings.profiled or device.type != "cuda"
    with numerics(device, trial.precision, settings.deterministic):
        run = Run(
            [trial],
            data,
            device,
            stackable(trial, module),
            selected=saving.selected,
            predicting=saving.predictions,
            clock=clock_of(device) if timed else Clock(),
            group=Apart(device, group, timed),
            loaders=settings.loaders,
        )
        barrier(device, group)  # who is ready first does not wait for the slowest in training
        run.train(tick)
        (record,) = records_of(run)
    return keep(run, 0, record, saving if dist.get_rank(group) == 0 else NOTHING)
