"""How far the statements are from decided for which searches go on."""

from pathlib import Path

import pandas as pd

from oodbench.results import Database, open_database
from oodbench.results.sweeps.rounds import deciding
from oodbench.workers.deciding import standing_of

COLUMNS = (
    *("sweep", "dataset", "algorithm", "a", "b", "outcome", "draws", "difference", "low", "high"),
    *("projected", "looked", "next", "most"),
)


def decisions(db: str | Path, sweep: str | None = None) -> pd.DataFrame:
    """The statements of sweeps that stop when decided (``search: {stop: decided}``).

    Args:
        db: URL or path of the database.
        sweep: Only of this sweep.

    Returns:
        A row for each statement: ``sweep``, ``dataset``, ``algorithm``; the fields of
        ``analysis.Statement``: ``a``, ``b``, ``outcome``, ``draws``, ``difference`` (a fraction),
        ``low``, ``high``, ``projected``; ``looked``: draws at the last look; ``next``: draws at
        the next one, 0 once the search is over; ``most``. No rows if no search stops so.

    Raises:
        DatabaseError: If the database cannot be used.
        UnknownNameError: If there is no such sweep.
        RequestError: If a sweep has draws of several searches.
    """
    with open_database(db, read_only=True) as database:
        return decisions_of(database, sweep)


def decisions_of(db: Database, sweep: str | None = None) -> pd.DataFrame:
    """``decisions`` of an open database."""
    rows = [
        {
            **{"sweep": asked.sweep, "dataset": standing.group.dataset},
            **{"algorithm": standing.group.algorithm, **vars(one)},
            **{"looked": standing.looked, "next": max(standing.wanted.values(), default=0)},
            "most": asked.stopping.most,
        }
        for asked in deciding(db, sweep)
        for standing in standing_of(db, asked)
        for one in standing.statements
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
