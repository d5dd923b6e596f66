"""What the runs say about optimizers out of distribution."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.machine import one_blas_thread
from oodbench.results import environment_names, open_database
from oodbench.verbs.query import query, read_runs
from oodbench.workers.artifacts import known_predictions


def conclude(
    db: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    **options: Any,
) -> "analysis.Conclusions":
    """What the runs say about optimizers out of distribution; see ``analysis.conclude``.

    Args:
        db: URL or path of the database.
        where: A condition on the runs.
        sweep: Runs of this sweep only.
        checkpoint: Which checkpoint of a run is scored.
        options: ``rule``, ``budget``, ``unit``, ``baseline``, ``seed``.
    """
    with open_database(db, read_only=True) as database:
        table = read_runs(database, where, sweep, checkpoint, options.get("rule", "id_val"))
        predictions = known_predictions(database, where, sweep, checkpoint)
        names = environment_names(database)
    with one_blas_thread():
        found = analysis.conclude(table, predictions=predictions, **options)
    return replace(found, environments=names)


def confirmed(db: str | Path, sweep: str | None = None) -> pd.DataFrame:
    """Winners that were trained again on fresh seeds: see ``analysis.confirmation_table``."""
    return analysis.confirmation_table(query(db, sweep=sweep))
