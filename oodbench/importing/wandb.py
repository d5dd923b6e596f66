"""A table of runs that was exported from Weights & Biases, as runs of the database."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.importing.csv_table import import_sheet
from oodbench.importing.mapping import fields_of
from oodbench.importing.sheet import Sheet, read_sheet
from oodbench.results import ImportedRuns

STATE = "State"
LABELS = ("ID", "Name")
"""Columns that tell one run from another, the best first."""

STATES = {
    "finished": ("completed", ""),
    "crashed": ("failed", "W&B says that the run crashed."),
    "failed": ("failed", "W&B says that the run failed."),
    "killed": ("failed", "W&B says that the run was killed."),
}
"""W&B's states of runs that have ended -> ours, and why."""


def import_wandb(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool = False,
) -> ImportedRuns:
    """Put a table of runs that was exported from W&B into a database; twice adds nothing.

    Runs that crashed, failed or were killed are failed runs; those that have not ended are skipped.
    A run is told from others by its ``ID``, or by its ``Name`` where that was not exported.

    Args, Raises:
        As ``import_csv``; also a RequestError if the file has no column ``State``.
    """
    sheet = read_sheet(file)
    if STATE not in sheet.columns:
        raise RequestError(
            f"{sheet.name} has no column {STATE}, so it is no table of runs from W&B. Use "
            "oodbench import csv, or export the table with its default columns."
        )
    sheet = _ended(sheet)
    own = {"status": STATE, "reason": ""}
    label = next((label for label in LABELS if label in sheet.columns), None)
    if label is not None:
        own["name"] = label
    fields = fields_of(sheet, {**own, **columns}, constants or {})
    return import_sheet("wandb", sheet, fields, db, name, percent)


def _ended(sheet: Sheet) -> Sheet:
    """The table with our statuses, and why in a column without a name."""
    state = sheet.columns.index(STATE)
    rows: dict[int, tuple[str, ...]] = {}
    skipped = list(sheet.skipped)
    for line, cells in sheet.rows.items():
        found = STATES.get(cells[state].lower())
        if found is None:
            skipped.append(f"row {line}: its state is {cells[state] or 'missing'}: not ended.")
        else:
            status, reason = found
            rows[line] = (*cells[:state], status, *cells[state + 1 :], reason)
    return replace(sheet, columns=(*sheet.columns, ""), rows=rows, skipped=tuple(skipped))
