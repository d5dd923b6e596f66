"""The settings of a worker: checked here, passed from the command line to training."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError, UnknownNameError


@dataclass(frozen=True)
class WorkerSettings:
    """What each worker of a sweep takes; ``oodbench worker`` has an option for each.

    Attributes:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
        stack: Most models trained together; None: what a short measurement, made once for each kind
            of model on this machine, finds fastest.
        stack_memory: GiB that a measured stack may need; None: see ``sizing.memory_bound``.
        lease: Seconds for which a silent worker keeps its trials.
        artifacts: Folder of checkpoints, weights and large predictions, shared by all workers; see
            ``artifacts_folder``.
        save_every: Seconds from one checkpoint of a run that is trained alone to the next.
        processes: Give each replica of a trial a process of its own: see docs/parallel.md. Under
            torchrun these are its processes, and those but the first only train with it.
        replica_timeout: Seconds that a replica on such a process waits for the others.
        loaders: Threads that read and augment batches ahead of the step; 0: none; None: as many as
            the first steps of a run show to be of use, on cores that no worker trains on.
        compiled: Compile the training step, with CUDA graphs on a GPU: see docs/steps.md.
        cuda_graphs: Take the steps of stacks on a GPU as CUDA graphs, unless they are compiled or
            profiled: see docs/steps.md.
        nondeterministic: Let a GPU take the fastest methods, even those that do not give the same
            bits each time: see docs/gpu.md.
        on_run_end: Name of a function to call after each run is stored: see ``workers.hooks``.
        profile: Say at the end where the time went; on a GPU, wait for it after every phase.

    Raises:
        RequestError: If a number means nothing.
    """

    device: str = "auto"
    stack: int | None = None
    stack_memory: float | None = None
    lease: float = 60.0
    artifacts: str | Path | None = None
    save_every: float = 300.0
    processes: bool = False
    replica_timeout: float = 600.0
    loaders: int | None = None
    compiled: bool = field(default=False, metadata={"option": "compile"})
    cuda_graphs: bool = False
    nondeterministic: bool = False
    on_run_end: str | None = None
    profile: bool = False

    def __post_init__(self) -> None:
        least = {
            "stack": (1, ""),
            "stack_memory": (0, " GiB"),
            "lease": (1, " second"),
            "replica_timeout": (1, " second"),
            "save_every": (0, " seconds"),
            "loaders": (0, ""),
        }
        for name, (bound, unit) in least.items():
            value = getattr(self, name)
            if value is not None and not value >= bound:
                raise RequestError(f"{name} must be at least {bound}{unit}, but got {value}.")

    @classmethod
    def named(cls, settings: Mapping[str, Any]) -> "WorkerSettings":
        """The settings that differ from the defaults, by name.

        Raises:
            UnknownNameError: If there is no such setting.
        """
        known = [item.name for item in fields(cls)]
        for name in settings:
            if name not in known:
                raise UnknownNameError("setting", name, known)
        return cls(**settings)

    def options(self) -> list[str]:
        """The settings as options of ``oodbench worker``."""
        found = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value != item.default:
                option = f"--{item.metadata.get('option', item.name).replace('_', '-')}"
                found.append(option if value is True else f"{option}={value}")
        return found


DEFAULTS = WorkerSettings()
