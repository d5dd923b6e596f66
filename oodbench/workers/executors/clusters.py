"""Starting the workers of a stored sweep on many machines: jobs of SLURM, actors of Ray."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import Database, open_database, sql, sqlite_file, sweep_specs
from oodbench.sweep import SweepSpec
from oodbench.sweep.machines import Ray, Slurm
from oodbench.workers.executors import slurm
from oodbench.workers.executors.jobs import Job, check_shared, job_of
from oodbench.workers.executors.local import Counts

if TYPE_CHECKING:
    import pandas as pd

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


def _jobs(target: str, sweep: str | None) -> list[slurm.QueuedJob]:
    """The SLURM jobs of a database's sweeps, or of one; SLURM need not answer if it never had any.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If SLURM does not answer, and there may be jobs.
    """
    with open_database(target, read_only=True) as db:
        known = {item["name"]: "slurm" in item["spec"] for item in sweep_specs(db)}
    if sweep is not None and sweep not in known:
        raise UnknownNameError("sweep", sweep, known)
    if sqlite_file(target) is not None:  # no job ever worked for one
        return []
    asked = [name for name in known if sweep in (None, name)]
    try:
        return slurm.jobs([slurm.job_name(target, name) for name in asked])
    except RequestError:
        if any(known[name] for name in asked):
            raise
        return []


def cluster_jobs(target: str, sweep: str | None = None) -> "pd.DataFrame":
    """This user's SLURM jobs of a database's sweeps, that wait or run.

    Args:
        target: URL or path of the database.
        sweep: Only of this sweep.

    Returns:
        A row a job: ``job``, ``state``, ``node``, ``time``, ``limit``, ``reason``, and how many
        runs its workers hold (``training``); empty where there is no SLURM.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If SLURM does not answer, and one of these sweeps is for it.
    """
    import pandas as pd

    found = _jobs(target, sweep)
    rows = [
        {
            "job": item.id,
            "state": item.state.lower(),
            "node": item.node,
            "time": item.time,
            "limit": item.limit,
            "reason": "" if item.reason == "None" else item.reason,
        }
        for item in found
    ]
    frame = pd.DataFrame(rows, columns=["job", "state", "node", "time", "limit", "reason"])
    if frame.empty:
        return frame.assign(training=pd.Series(dtype=int))
    with open_database(target, read_only=True) as db:
        held = sql(db, "SELECT owner FROM runs WHERE state = 'running'")["owner"].map(job_of)
    return frame.assign(training=frame["job"].map(held.value_counts()).fillna(0).astype(int))


def cancel_cluster_jobs(target: str, sweep: str) -> int:
    """Cancel the SLURM jobs of a sweep, and wait until they have given back what they trained.

    Returns:
        How many there were.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If SLURM refuses, or does not answer and the sweep is for it.
    """
    found = _jobs(target, sweep)
    slurm.cancel_jobs(found)
    return len(found)
