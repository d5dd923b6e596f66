"""Starting the workers of a stored sweep on many machines: jobs of SLURM, actors of Ray."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import Database, sqlite_file
from oodbench.sweep import SweepSpec
from oodbench.sweep.machines import Ray, Slurm
from oodbench.workers.executors import slurm
from oodbench.workers.executors.jobs import Job
from oodbench.workers.executors.local import Counts
from oodbench.workers.executors.spread import spread_job
from oodbench.workers.worker_settings import WorkerSettings

MACHINES: dict[str, type[Slurm] | type[Ray]] = {"slurm": Slurm, "ray": Ray}
EXECUTORS = ("local", *MACHINES)


def check_executor(executor: str, target: str, gpus: Sequence[str]) -> None:
    """Refuse what an executor cannot do, before anything is planned.

    Raises:
        UnknownNameError: If there is no such executor.
        RequestError: If other machines could not use the database, or GPUs are named for them.
    """
    if executor not in EXECUTORS:
        raise UnknownNameError("executor", executor, EXECUTORS)
    if executor == "local":
        return
    file = sqlite_file(target)
    if file is not None:
        raise RequestError(
            f"The executor {executor} starts workers on several machines, and {file} is for one. "
            "Use PostgreSQL (--db postgresql+psycopg://user@host/name); `oodbench db copy` moves a "
            "sweep there. Or, without a server, one shard for each worker: `oodbench worker "
            "SWEEP.yaml --shard i/N --db shard-i.db`, and then `oodbench db merge`."
        )
    if gpus:
        raise RequestError(
            f"gpus names those of this machine; for {executor}, say in the sweep file how many a "
            f"job has: {executor}: {{gpus: 1}}."
        )


def launch(
    db: Database,
    target: str,
    spec: SweepSpec,
    executor: str,
    settings: WorkerSettings,
    *,
    workers: int | None,
    logs: Path,
    on_progress: Callable[[Counts], None],
) -> None:
    """Submit jobs to SLURM and return, or keep Ray's actors until the sweep is done.

    The sweep's keys ``slurm`` and ``ray`` say what a job is, and how long its workers' leases are.
    For the arguments see ``verbs.sweep.run_sweep``.

    Raises:
        RequestError: If the executor is not installed or not here, or cannot start the jobs.
    """
    machines: Slurm | Ray = getattr(spec, executor) or MACHINES[executor].model_validate({})
    total = workers or machines.workers
    settings, share = replace(settings, lease=machines.lease), min(machines.workers_per_job, total)
    job = Job(spec.name, settings, str(logs.absolute()), workers=share, peers=total)
    if machines.spread:
        job = spread_job(job, machines.nodes_per_run, *spec.replicas)
    if isinstance(machines, Slurm):
        job = replace(job, grace=0.8 * machines.notice)  # time for the rest of the job to end
        slurm.submit(machines, target, job, logs.absolute() / "submitit", workers)
    else:
        from oodbench.workers.executors.ray import run_ray

        run_ray(db, target, machines, job, workers=total, on_progress=on_progress)
