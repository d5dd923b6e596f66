"""cancel: what waits of a sweep is taken out of it."""

from oodbench.cli.options import Db, SweepName
from oodbench.cli.status import slurm_jobs


def cancel(name: SweepName, db: Db) -> None:
    """Take the waiting runs of a sweep out of it, and cancel its SLURM jobs.

    What is running elsewhere or finished stays; another sweep that wants the same runs keeps them.

    Example: oodbench cancel digits --db digits.db
    """
    from oodbench.verbs.cancel import cancel_jobs, cancel_runs

    if len(slurm_jobs(db, name)):
        print(f"{cancel_jobs(db, name)} SLURM jobs of {name} cancelled")
    print(f"{cancel_runs(db, name)} waiting runs of {name} cancelled")
