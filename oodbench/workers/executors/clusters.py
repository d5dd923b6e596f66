"""Starting the workers of a stored sweep on many machines: jobs of SLURM, actors of Ray."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import Database
from oodbench.sweep import SweepSpec
from oodbench.sweep.machines import Ray, Slurm
from oodbench.workers.executors import slurm
from oodbench.workers.executors.jobs import Job, check_shared
from oodbench.workers.executors.local import Counts

EXECUTORS = ("local", "slurm", "ray")


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
    check_shared(target, executor)
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
    *,
    workers: int | None,
    options: Sequence[str],
    logs: Path,
    on_progress: Callable[[Counts], None],
) -> None:
    """Submit jobs to SLURM and return, or keep Ray's actors until the sweep is done.

    Args:
        db: The database, to look at the progress.
        target: Its URL.
        spec: The sweep; its keys ``slurm`` and ``ray`` say what a job is.
        executor: ``slurm`` or ``ray``.
        workers: How many, if not as the sweep file says.
        options: Of ``oodbench worker``.
        logs: Folder of the workers' logs and, for SLURM, of submitit's files.
        on_progress: For Ray, called a few times a second with the number of runs in each state.

    Raises:
        RequestError: If the executor is not installed or not here, or cannot start the jobs.
    """
    kinds: dict[str, type[Slurm] | type[Ray]] = {"slurm": Slurm, "ray": Ray}
    settings: Slurm | Ray = getattr(spec, executor) or kinds[executor].model_validate({})
    total = workers or settings.workers
    job = Job(
        spec.name,
        [*options, f"--lease={settings.lease:g}"],
        str(logs.absolute()),
        workers=min(settings.workers_per_job, total),
        peers=total,
    )
    if isinstance(settings, Slurm):
        job = replace(job, grace=0.8 * settings.notice)  # time for the rest of the job to end
        slurm.submit(settings, target, job, logs.absolute() / "submitit", workers)
    else:
        from oodbench.workers.executors.ray import run_ray

        run_ray(db, target, settings, job, workers=total, on_progress=on_progress)
