"""Taking the waiting runs of a sweep out of it, and cancelling its SLURM jobs."""

from pathlib import Path

from oodbench import results
from oodbench.results import open_database
from oodbench.workers.executors import slurm


def cancel(db: str | Path, sweep: str) -> int:
    """Take the waiting runs of a sweep out of it; how many.

    Its SLURM jobs are cancelled first: see ``cancel_jobs``.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If it may have SLURM jobs, and SLURM does not answer.
    """
    cancel_jobs(db, sweep)
    return cancel_runs(db, sweep)


def cancel_runs(db: str | Path, sweep: str) -> int:
    """Take the waiting runs of a sweep out of it, whatever its SLURM jobs do; how many."""
    with open_database(db) as database:
        return results.cancel(database, sweep)


def cancel_jobs(db: str | Path, sweep: str) -> int:
    """Cancel the SLURM jobs of a sweep, and wait until they have given back what they trained.

    Returns:
        How many there were.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If SLURM refuses, or does not answer and the sweep is for it.
    """
    found = slurm.jobs_of(db, sweep)
    slurm.cancel_jobs(found)
    return len(found)
