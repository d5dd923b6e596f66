"""Where a sweep's workers run: keys of a sweep file that decide no trial."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from oodbench.sweep.settings import Part, Positive

CLOCK = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
OURS = {"array", "job-name", "output", "error", "open-mode", "signal", "requeue", "ntasks", "nodes"}
"""Options of sbatch on which the executor relies."""


def minutes(time: Any) -> Any:
    """A time limit in minutes, from a number or from what SLURM writes: ``D-HH:MM:SS``."""
    found = CLOCK.fullmatch(time) if isinstance(time, str) else None
    if isinstance(time, int) and not isinstance(time, bool) and time >= 1:
        return time
    if found is None:
        raise ValueError(f"a time is minutes, HH:MM:SS or D-HH:MM:SS, but got {time!r}")
    days, *rest = (int(part or 0) for part in found.groups())
    if found[1] is None and found[4] is None:  # MM or MM:SS
        rest = [0, *rest[:2]]
    hours, mins, seconds = rest
    total = (days * 24 + hours) * 60 + mins + -(-seconds // 60)
    if total < 1:
        raise ValueError(f"a time is at least a minute, but got {time!r}")
    return total


def check_options(options: dict[str, Any]) -> dict[str, Any]:
    """Further options of sbatch, by their long names."""
    own = {"partition", "time", "gpus", "cpus-per-task", "mem"}
    for name in options:
        long = name.replace("_", "-")
        if long in own:
            key = {"cpus-per-task": "cpus", "mem": "memory"}.get(long, long)
            raise ValueError(f"option {name!r} has a key of its own: slurm.{key}")
        if long in OURS or not re.fullmatch(r"[a-z][a-z0-9-]*", long):
            raise ValueError(
                f"option {name!r} cannot be given: the executor sets it, or it is none"
            )
    return options


Option = str | int | float | bool


class Machines(Part):
    """What the executors for many machines have in common.

    Attributes:
        workers: Worker processes, in all.
        workers_per_job: How many of them share a job, and its GPUs in turn.
        cpus: CPU cores of a job.
        lease: Seconds for which a silent worker keeps its trials.
    """

    workers: Positive = 1
    workers_per_job: Positive = 1
    cpus: Positive = 1
    lease: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0

    def jobs(self, workers: int | None = None) -> int:
        """How many jobs that makes."""
        return -(-(workers or self.workers) // self.workers_per_job)


class Slurm(Machines):
    """The jobs of ``--executor slurm``.

    Attributes:
        partition: None: the cluster's default.
        time: Limit of a job, in minutes; it is put back in line then.
        gpus: GPUs of a job.
        memory: Memory per job, such as ``16G``; None: the cluster's default.
        notice: Seconds before the limit at which workers save and stop.
        setup: Lines of shell before the worker starts, such as ``module load cuda``.
        options: Further options of sbatch: ``{account: me, constraint: a100}``.
    """

    partition: str | None = None
    time: Annotated[Any, AfterValidator(minutes)] = 60
    gpus: Annotated[int, Field(ge=0)] = 0
    memory: str | None = None
    notice: Positive = 90
    setup: Annotated[list[str], Field(default_factory=list)]
    options: Annotated[
        dict[str, Option], AfterValidator(check_options), Field(default_factory=dict)
    ]

    @model_validator(mode="after")
    def check(self) -> "Slurm":
        """There is time to train before the notice."""
        if self.notice >= 60 * self.time:
            raise ValueError(
                f"notice ({self.notice} s) must be shorter than time ({self.time} min)"
            )
        return self


class Ray(Machines):
    """The actors of ``--executor ray``; each is a job.

    Attributes:
        address: Address of the cluster; ``auto``: the one that this machine belongs to.
        gpus: GPUs of an actor; ``0.5``: two actors share one.
        resources: Further resources of an actor, as the cluster names them.
    """

    address: str = "auto"
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    resources: Annotated[dict[str, float], Field(default_factory=dict)]
