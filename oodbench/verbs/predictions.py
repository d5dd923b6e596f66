"""What runs predicted of each example that they were scored on."""

from pathlib import Path

from oodbench.exporting.predictions import ExportedPredictions, write_predictions
from oodbench.results import open_database, runs
from oodbench.results.predictions import Predictions, load_predictions
from oodbench.workers.artifacts import artifacts_folder


def predictions(
    db: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    artifacts: str | Path | None = None,
) -> tuple[Predictions, ...]:
    """What runs predicted of each example that they were scored on, with labels and groups.

    Completed runs have them, unless their sweep file says ``keep_predictions: none`` or an older
    oodbench trained them. Imported ones have none.

    Args:
        db: URL or path of the database.
        where: A condition, as for ``oodbench.query``.
        sweep: Only runs of this sweep.
        checkpoint: ``last``, or ``best_id_val`` of runs with ``keep_predictions: selected``.
        artifacts: The artifacts folder, where those on large test sets are; None: see
            ``oodbench.workers.artifacts.artifacts_folder``.

    Returns:
        One for each set of examples: those of a dataset, test environments and data seed.

    Raises:
        QueryError: If the condition is not one.
        UnknownNameError: If it names no column or hyperparameter, or there is no such sweep or
            checkpoint rule.
        ArtifactError: If a file of predictions is not there, or damaged.
    """
    folder = artifacts_folder(db) if artifacts is None else Path(artifacts)
    with open_database(db, read_only=True) as database:
        return load_predictions(database, folder, where, sweep, checkpoint)


def export_predictions(
    db: str | Path,
    out: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    artifacts: str | Path | None = None,
) -> ExportedPredictions:
    """Write predictions as Parquet, and those on WILDS' datasets as its ``evaluate.py`` takes them.

    Args:
        db: URL or path of the database.
        out: The folder; see ``oodbench.exporting.predictions.write_predictions``.
        where: See ``predictions``, as for the other arguments.
        sweep: Only runs of this sweep.
        checkpoint: ``last`` or ``best_id_val``.
        artifacts: The artifacts folder.

    Raises:
        RequestError: If no run has any, a file cannot be written, or pyarrow is not installed.
        QueryError, UnknownNameError, ArtifactError: As for ``predictions``.
    """
    found = predictions(db, where, sweep=sweep, checkpoint=checkpoint, artifacts=artifacts)
    with open_database(db, read_only=True) as database:
        table = runs(database, sweep=sweep)
    configs = dict(zip(table["run"], table["config_id"], strict=True))
    return write_predictions(found, configs, Path(out), checkpoint)
