"""Workers as an array of SLURM jobs, by submitit (pip install 'oodbench[slurm]').

Nothing about the jobs is stored: they are found again by their name, which is made of the sweep's
and of the database's.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import describe_target, open_database, sqlite_file, sweep_specs
from oodbench.sweep.machines import Slurm
from oodbench.workers.executors.jobs import Job

if TYPE_CHECKING:
    import submitit

TIMEOUTS = 1_000_000
"""How often a job may reach its time limit and be put back in line."""
ANSWER = 60
"""Seconds that squeue and scancel may take."""
LEAVING = 60.0
"""Seconds in which cancelled jobs should have left the queue."""
FORMAT = "%i|%j|%T|%N|%M|%l|%r"
"""The fields of ``QueuedJob``."""


@dataclass(frozen=True)
class QueuedJob:
    """A job as squeue reports it.

    Attributes:
        id: Id of the job, such as ``123_4``.
        name: See ``job_name``.
        state: ``PENDING``, ``RUNNING``, ``COMPLETING``, ...
        node: Where it runs; empty if it waits.
        time: How long it has run.
        limit: How long it may run.
        reason: Why it waits.
    """

    id: str
    name: str
    state: str
    node: str
    time: str
    limit: str
    reason: str


def job_name(target: str, sweep: str) -> str:
    """The name of a sweep's jobs: the same from whatever machine or folder."""
    where = hashlib.sha256(describe_target(target).encode()).hexdigest()[:6]
    return f"oodbench-{sweep}-{where}"


def submit(
    settings: Slurm, target: str, job: Job, folder: Path, workers: int | None = None
) -> list[str]:
    """Submit the jobs that are lacking to the number that is wanted.

    Args:
        settings: The sweep file's key ``slurm``.
        target: URL of the database; it reaches the jobs by their environment, which others cannot
            see.
        job: What each runs.
        folder: Folder of submitit's files; the jobs must see it.
        workers: How many workers, if not as the settings say.

    Returns:
        The numbers of the new jobs.

    Raises:
        RequestError: If submitit or SLURM are not there, or SLURM refuses.
    """
    name = job_name(target, job.sweep)
    lacking = settings.jobs(workers) - len(jobs([name]))
    if lacking <= 0:
        return []
    executor = _executor(folder)
    executor.update_parameters(**parameters(settings, name))
    with _environment({"OODBENCH_DB": target}):
        try:
            with executor.batch():
                new = [executor.submit(job) for _ in range(lacking)]
        except (RuntimeError, subprocess.CalledProcessError) as error:  # the first are submitit's
            said = str(getattr(error, "stderr", None) or error).strip()
            raise RequestError(f"SLURM did not take the jobs: {said}") from error
    return [item.job_id for item in new]


def _executor(folder: Path) -> "submitit.SlurmExecutor":
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise RequestError(
            f"The executor slurm needs {error.name}: pip install 'oodbench[slurm]'."
        ) from error
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise RequestError(
            "There is no SLURM here (no sbatch and srun): run this on a login node of the cluster."
        )
    return submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)


def parameters(settings: Slurm, name: str) -> dict[str, Any]:
    """The settings as submitit takes them."""
    further = {key.replace("_", "-"): value for key, value in settings.options.items()}
    given: dict[str, Any] = {
        "job_name": name,
        "partition": settings.partition,
        "time": settings.time,
        "nodes": settings.nodes_per_run if settings.nodes_per_run > 1 else None,
        "cpus_per_task": settings.cpus,
        "gpus_per_node": settings.gpus_per_node or None,
        "mem": settings.memory,
        "signal_delay_s": settings.notice,
        "setup": settings.setup or None,
        "stderr_to_stdout": True,
        "array_parallelism": 1_000_000,
        "additional_parameters": {"requeue": True, **further},
    }
    return {key: value for key, value in given.items() if value is not None}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def jobs(names: Sequence[str]) -> list[QueuedJob]:
    """This user's jobs of these names that wait or run; none where there is no SLURM.

    Raises:
        RequestError: If squeue fails.
    """
    if shutil.which("squeue") is None or not names:
        return []
    listed = _run("squeue", "--me", "--array", "--noheader", f"--format={FORMAT}")
    found = [QueuedJob(*line.split("|", FORMAT.count("|"))) for line in listed.splitlines()]
    return [item for item in found if item.name in names]


def jobs_of(target: str | Path, sweep: str | None = None) -> list[QueuedJob]:
    """This user's jobs of a database's sweeps, or of one.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If squeue fails, and there may be jobs.
    """
    with open_database(target, read_only=True) as db:
        known = {item["name"]: "slurm" in item["spec"] for item in sweep_specs(db, counted=False)}
    if sweep is not None and sweep not in known:
        raise UnknownNameError("sweep", sweep, known)
    if sqlite_file(target) is not None:  # no job ever worked for one
        return []
    asked = [name for name in known if sweep in (None, name)]
    try:
        return jobs([job_name(str(target), name) for name in asked])
    except RequestError:
        if any(known[name] for name in asked):
            raise
        return []


def cancel_jobs(found: Sequence[QueuedJob]) -> None:
    """Cancel jobs, and wait until there are none of their names.

    Raises:
        RequestError: If SLURM refuses.
    """
    if not found:
        return
    names = sorted({item.name for item in found})
    # An array is cancelled as one: a thousand numbers would be a long command line.
    _run("scancel", *dict.fromkeys(item.id.partition("_")[0] for item in found))
    deadline = time.monotonic() + LEAVING
    while jobs(names) and time.monotonic() < deadline:
        time.sleep(0.5)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER)
    except subprocess.TimeoutExpired as error:
        raise RequestError(f"{command[0]} did not answer in {ANSWER} s; try again.") from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        why = said.splitlines()[-1].removeprefix(f"{command[0]}: ")  # what it ends with
        raise RequestError(f"{command[0]} failed: {why}")
    return done.stdout
