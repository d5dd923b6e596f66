"""What a sweep would decide, from a pilot: the differences that its draws find."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench import analysis
from oodbench.errors import OodbenchError
from oodbench.verbs.example import example
from oodbench.verbs.predictions import predictions
from oodbench.verbs.query import query

if TYPE_CHECKING:
    import pandas as pd

    from oodbench.sweep import SweepSpec

PILOT = "digits"
"""The shipped study that stands in where there are no runs yet."""


def foresee(spec: "SweepSpec", db: str | Path | None = None) -> "tuple[pd.DataFrame, str]":
    """What differences between two optimizers the draws of a sweep find: see ``analysis.power``.

    Args:
        spec: The sweep.
        db: A database whose runs on the sweep's datasets are the pilot, where it has enough; else
            the shipped digits are.

    Returns:
        The table, without rows where the pilot has no interval, and what the pilot is.
    """
    draws = spec.search.trials or 0
    if db is not None:
        names = ", ".join(f"'{one.name}'" for one in spec.datasets)
        try:
            found = _power(db, draws, f"dataset in ({names})")
        except OodbenchError:  # no database yet, or no runs that can be compared
            found = None
        if found is not None and len(found):
            return found, "the runs of this database"
    with tempfile.TemporaryDirectory() as folder:
        pilot = Path(folder) / "pilot.db"
        example(PILOT, pilot)
        return _power(pilot, draws), f"the shipped study of {PILOT}"


def _power(db: str | Path, draws: int, where: str | None = None) -> "pd.DataFrame":
    return analysis.power(query(db, where), predictions=predictions(db, where), draws=draws)
