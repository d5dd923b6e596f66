"""How far sweeps are: their runs by status, and their SLURM jobs."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from oodbench.results import best_id_val, counts, open_database, sql, state_counts
from oodbench.workers.executors import slurm
from oodbench.workers.executors.jobs import job_of


def status(db: str | Path, sweep: str | None = None) -> pd.DataFrame:
    """A row per study: dataset, test environments, algorithm, optimizer, and runs by status."""
    with open_database(db, read_only=True) as database:
        return counts(database, sweep)


@dataclass(frozen=True)
class Standing:
    """How far sweeps are at one time.

    Attributes:
        counts: Runs in each state; a run that studies share counts once.
        best: The highest ID validation accuracy of a completed run; None if there is none.
        studies: What ``status`` returns.
    """

    counts: dict[str, int]
    best: float | None
    studies: pd.DataFrame


def standing(db: str | Path, sweep: str | None = None) -> Standing:
    """What ``oodbench status --watch`` shows of a database's sweeps, or of one of them."""
    with open_database(db, read_only=True) as database:
        asked = database, sweep
        return Standing(state_counts(*asked), best_id_val(*asked), counts(*asked))


def jobs(db: str | Path, sweep: str | None = None) -> pd.DataFrame:
    """This user's SLURM jobs of a database's sweeps, that wait or run.

    Args:
        db: URL or path of the database.
        sweep: Only of this sweep.

    Returns:
        A row a job: ``job``, ``state``, ``node``, ``time``, ``limit``, ``reason``, and how many
        runs its workers hold (``training``); empty where there is no SLURM.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If SLURM does not answer, and one of these sweeps is for it.
    """
    rows = [
        {
            "job": item.id,
            "state": item.state.lower(),
            "node": item.node,
            "time": item.time,
            "limit": item.limit,
            "reason": "" if item.reason == "None" else item.reason,
        }
        for item in slurm.jobs_of(db, sweep)
    ]
    frame = pd.DataFrame(rows, columns=["job", "state", "node", "time", "limit", "reason"])
    if frame.empty:
        return frame.assign(training=pd.Series(dtype=int))
    with open_database(db, read_only=True) as database:
        held = sql(database, "SELECT owner FROM runs WHERE state = 'running'")["owner"].map(job_of)
    return frame.assign(training=frame["job"].map(held.value_counts()).fillna(0).astype(int))
