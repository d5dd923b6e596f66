"""Where a worker trains: its device, and the processes that train with it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from oodbench.data.stopping import stoppable
from oodbench.errors import RequestError, StopTrainingError
from oodbench.training import Distribute
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.replicas import torchrun
from oodbench.training.replicas.local import run_on_processes
from oodbench.training.replicas.processes import ProcessSettings
from oodbench.workers.trial_data import tensors_for
from oodbench.workers.worker_settings import WorkerSettings


def device_named(name: str) -> str:
    """What ``auto`` is on this machine; other names are themselves."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def find_device(name: str) -> torch.device:
    """The device, with one thread if it is the CPU: workers share the cores among them."""
    name = device_named(name)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
        raise RequestError(f"Cannot use the device {name!r}: {error}") from error
    if device.type == "cpu":
        prepare_for_cpu()
    return device


@dataclass(frozen=True)
class Place:
    """Where a worker trains.

    Attributes:
        device, should_stop: See ``worker.work``.
        distribute: How it trains trials with replicas; None: they are simulated.
        within: What it works within.
    """

    device: torch.device
    should_stop: Callable[[], bool]
    distribute: Distribute | None = None
    within: AbstractContextManager[None] = field(default_factory=nullcontext)


def placed(
    device: torch.device, settings: WorkerSettings, should_stop: Callable[[], bool]
) -> Place | None:
    """Where this worker trains; None once all is done, for a process of torchrun's but its first.

    Raises:
        RequestError: If this worker is to start processes on another device than a CPU.
    """
    if not settings.processes:
        return Place(device, should_stop)
    how = ProcessSettings(settings.replica_timeout, settings.profile, not settings.nondeterministic)
    if torchrun.rank() is None:
        if device.type == "cpu":
            return Place(device, should_stop, partial(run_on_processes, settings=how))
        raise RequestError(
            f"A worker starts processes for replicas on a CPU alone, but the device is {device}. "
            "Choose --device cpu, or start one process for each GPU with torchrun."
        )
    ranks = torchrun.Ranks(device, replace(how, loaders=settings.loaders))
    if ranks.rank == 0:
        stop = lambda: should_stop() or ranks.stopping  # noqa: E731
        return Place(ranks.device, stop, ranks.distribute, ranks.leading())

    def tick() -> None:
        if should_stop():
            raise StopTrainingError("it was asked to stop")

    with stoppable(should_stop):
        ranks.follow(tensors_for, tick)
    return None
