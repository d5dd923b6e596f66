"""cancel: remove a sweep's waiting runs and cancel its SLURM jobs."""

from oodbench.cli.options import Db, SweepName
from oodbench.cli.status import slurm_jobs


def cancel(name: SweepName, db: Db) -> None:
    """Cancel a sweep's waiting runs and its SLURM jobs.

    Running and finished runs stay. Another sweep that wants the same runs keeps them.

    Example: oodbench cancel digits --db digits.db
    """
    from oodbench.verbs.cancel import cancel_jobs, cancel_runs

    if len(slurm_jobs(db, name)):
        print(f"{cancel_jobs(db, name)} SLURM jobs of {name} cancelled")
    print(f"{cancel_runs(db, name)} waiting runs of {name} cancelled")
