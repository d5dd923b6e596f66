"""Tables of runs that trackers of experiments export: W&B's and MLflow's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.importing.csv_table import import_sheet
from oodbench.importing.mapping import ALL_HPARAMS, HPARAMS, fields_of
from oodbench.importing.objects import with_objects
from oodbench.importing.sheet import Sheet, read_sheet
from oodbench.results import ImportedRuns

FAILED = {
    "crashed": "{} says that the run crashed.",
    "failed": "{} says that the run failed.",
    "killed": "{} says that the run was killed.",
}


REASON = "why the run failed"
"""A column that the table gets here."""


@dataclass(frozen=True)
class Tracker:
    """How a tracker writes its table.

    Attributes:
        source: Source, such as ``wandb``.
        called: What its makers call it.
        states: Names of the column with the state of a run.
        labels: Names of columns that identify a run, the best first.
        config: Column whose cells hold a run's hyperparameters as an object; empty: none.
        params: How the names of the columns of hyperparameters begin; empty: not known.
    """

    source: str
    called: str
    states: tuple[str, ...]
    labels: tuple[str, ...]
    config: str = ""
    params: str = ""


WANDB = Tracker("wandb", "W&B", ("State",), ("ID", "Name"), config="config")

MLFLOW = Tracker("mlflow", "MLflow", ("status", "Status"), ("run_id", "Run ID"), params="params.")
"""``mlflow experiments csv`` and ``search_runs`` write the first names, its pages the second."""


def import_wandb(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool | Collection[str] = False,
) -> ImportedRuns:
    """Put a table of runs that was exported from W&B into a database; twice adds nothing.

    Runs that crashed, failed or were killed are failed runs, whatever scores they have; those that
    have not ended are skipped. A run is identified by its ``ID``, or by its ``Name`` where
    that was not exported. Objects in a column ``config`` are hyperparameters.

    Args, Raises:
        As ``import_csv``; also a RequestError if the file has no column ``State``.
    """
    return _import(WANDB, file, db, columns, constants or {}, name, percent)


def import_mlflow(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool | Collection[str] = False,
) -> ImportedRuns:
    """Put MLflow's table of runs into a database; twice adds nothing.

    It is what ``mlflow experiments csv`` writes, ``mlflow.search_runs(...).to_csv()``, or the CSV
    file that MLflow's pages give. States are read as those of W&B's runs are, and columns
    ``params.NAME`` that no field is mapped to are hyperparameters.

    Args, Raises:
        As ``import_csv``; also a RequestError if the file has no column ``status`` or ``Status``.
    """
    return _import(MLFLOW, file, db, columns, constants or {}, name, percent)


def _import(
    tracker: Tracker,
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any],
    name: str | None,
    percent: bool | Collection[str],
) -> ImportedRuns:
    sheet = read_sheet(file)
    state = next((state for state in tracker.states if state in sheet.columns), None)
    if state is None:
        raise RequestError(
            f"{sheet.name} has no column {' or '.join(tracker.states)}, so it is no table of runs "
            f"from {tracker.called}. Use oodbench import csv, or export the table with its default "
            "columns."
        )
    sheet = with_objects(_ended(sheet, tracker, state))
    own = {"status": state, "reason": REASON}
    label = next((label for label in tracker.labels if label in sheet.columns), None)
    if label is not None:
        own["name"] = label
    own |= _hparams(sheet, tracker, columns, constants)
    fields = fields_of(sheet, {**own, **columns}, constants)
    return import_sheet(tracker.source, sheet, fields, db, name, percent)


def _ended(sheet: Sheet, tracker: Tracker, column: str) -> Sheet:
    """The table with our statuses, and why in a column of its own."""
    state = sheet.columns.index(column)
    rows: dict[int, tuple[str, ...]] = {}
    skipped = list(sheet.skipped)
    for line, cells in sheet.rows.items():
        found = cells[state].lower()
        if found == "finished":
            status, reason = "completed", ""
        elif found in FAILED:
            status, reason = "failed", FAILED[found].format(tracker.called)
        else:
            skipped.append(f"row {line}: its state is {cells[state] or 'missing'}: not ended.")
            continue
        rows[line] = (*cells[:state], status, *cells[state + 1 :], reason)
    return replace(sheet, columns=(*sheet.columns, REASON), rows=rows, skipped=tuple(skipped))


def _hparams(
    sheet: Sheet, tracker: Tracker, columns: Mapping[str, str], constants: Mapping[str, Any]
) -> dict[str, str]:
    """Hyperparameters that the table says itself and no field is mapped to."""
    if any(field == ALL_HPARAMS for field in columns):
        return {}
    keys = sheet.objects.get(tracker.config, {})
    found = {key: sheet.columns[at] for key, at in keys.items()}
    if tracker.params:
        found |= {
            column.removeprefix(tracker.params): column
            for column in sheet.columns
            if column.startswith(tracker.params) and column != tracker.params
        }
    taken = set(columns.values())
    own = {HPARAMS + key: column for key, column in found.items() if column not in taken}
    return {field: column for field, column in own.items() if field not in constants}
