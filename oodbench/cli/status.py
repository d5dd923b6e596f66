"""status: how far a sweep is."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Db, Sweep
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


def status(
    db: Db,
    name: Sweep = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds until all is done.")
    ] = False,
) -> None:
    """Count the runs of each study by status, and list its SLURM jobs.

    Example: oodbench status --db digits.db --watch
    """
    from oodbench.cli.printing import show, watching

    def look() -> Any:
        frame = api.status(db, name)
        one = frame["sweep"].nunique() < 2
        return frame.drop(columns=["study", "total", "sweep"] if one else ["study", "total"])

    if watch:
        watching(look, lambda frame: not frame[["waiting", "running"]].to_numpy().any())
    else:
        show(look())
    jobs = slurm_jobs(db, name)
    if len(jobs):
        print("\nSLURM jobs:")
        show(jobs)


def slurm_jobs(db: str, name: str | None) -> "pd.DataFrame":
    """The jobs; none where SLURM does not answer, which is told: the rest goes on without it."""
    try:
        return api.jobs(db, name)
    except RequestError as error:
        import pandas as pd

        print(f"warning: the SLURM jobs are not known: {error}", file=sys.stderr)
        return pd.DataFrame()
