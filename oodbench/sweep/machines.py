"""Where a sweep's workers run: keys of a sweep file that decide no trial."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Self

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
        workers: Workers, in all.
        workers_per_job: How many of them share a job, and its GPUs in turn.
        cpus: CPU cores of a job, on each of its nodes.
        lease: Seconds for which a silent worker keeps its trials.
        gpus_per_run: GPUs of one run, on all its nodes together: one for each of its replicas.
        nodes_per_run: Nodes of one run, among which its replicas are divided evenly.
    """

    workers: Positive = 1
    workers_per_job: Positive = 1
    cpus: Positive = 1
    lease: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    gpus_per_run: Annotated[int, Field(ge=0)] = 0
    nodes_per_run: Positive = 1
    gpus: float = 0

    @property
    def spread(self) -> bool:
        """Whether a worker is a process for each replica of a run, and not one process."""
        return self.gpus_per_run > 0 or self.nodes_per_run > 1

    @property
    def gpus_per_node(self) -> float:
        """GPUs of a job, on each of its nodes."""
        return self.gpus_per_run // self.nodes_per_run if self.spread else self.gpus

    @model_validator(mode="after")
    def check_run(self) -> Self:
        """What belongs to a job of workers is not mixed with what belongs to a run."""
        if self.spread and self.workers_per_job > 1:
            raise ValueError(
                f"workers_per_job ({self.workers_per_job}) must be 1 with gpus_per_run or "
                "nodes_per_run: a job trains one run at a time"
            )
        if self.spread and self.gpus:
            raise ValueError(
                f"gpus ({self.gpus}) are of a job whose workers train apart; with gpus_per_run or "
                "nodes_per_run leave it out"
            )
        if self.gpus_per_run % self.nodes_per_run:
            raise ValueError(
                f"gpus_per_run ({self.gpus_per_run}) must be a multiple of nodes_per_run "
                f"({self.nodes_per_run}): each node has as many"
            )
        return self

    def check_replicas(self, place: str, numbers: Sequence[int]) -> None:
        """Raise ValueError unless a run that is spread has a process for each of its replicas.

        Args:
            place: Key of the sweep file.
            numbers: How many replicas its runs have, each number once, without 1.
        """
        if not self.spread or (
            len(numbers) == 1
            and self.gpus_per_run in (0, numbers[0])
            and numbers[0] % self.nodes_per_run == 0
        ):
            return
        asked = f"{place}: gpus_per_run {self.gpus_per_run}, nodes_per_run {self.nodes_per_run}"
        if not numbers:
            raise ValueError(
                f"{asked}: no run of this sweep has replicas to spread; write parallel: "
                "{method: ddp, replicas: 2}, or leave them out"
            )
        if len(numbers) > 1:
            raise ValueError(
                f"{asked}: runs have {' or '.join(map(str, numbers))} replicas, but the processes "
                "of a job are as many for each run; put the others into a sweep of their own"
            )
        raise ValueError(
            f"{asked}: a run has {numbers[0]} replicas, so gpus_per_run must be {numbers[0]}, or "
            f"0 for CPUs, and nodes_per_run must divide {numbers[0]}"
        )

    def jobs(self, workers: int | None = None) -> int:
        """How many jobs that makes."""
        return -(-(workers or self.workers) // self.workers_per_job)


class Slurm(Machines):
    """The jobs of ``--executor slurm``.

    Attributes:
        partition: None: the cluster's default.
        time: Limit of a job, in minutes; it is put back in line then.
        gpus: GPUs of a job.
        memory: Memory per node of a job, such as ``16G``; None: the cluster's default.
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
