"""A table of models with ID and OOD accuracies as runs of the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.importing.facts import facts_of
from oodbench.importing.mapping import Fields, fields_of
from oodbench.importing.objects import with_objects
from oodbench.importing.rows import ENVIRONMENTS, BadRowError, record_of
from oodbench.importing.scale import units_of
from oodbench.importing.sheet import Sheet, read_sheet
from oodbench.records import RunRecord
from oodbench.results import Imported, ImportedRuns, add_imported, open_database
from oodbench.results.imports import Group, group_of

SHOWN = 3
"""How many rows an error names."""


def import_csv(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool | Collection[str] = False,
    separator: str | None = None,
) -> ImportedRuns:
    """Put a table of models with ID and OOD accuracies into a database; twice adds nothing.

    A status is read before scores: rows that diverged or failed are kept whatever scores they have.
    Empty cells, NaN and infinities are no scores.

    Args:
        file: A CSV file with a header and a row a model.
        db: URL or path of the database; created if missing.
        columns: Field -> its column, such as ``{"id": "val_acc", "ood": "test_acc"}``. Fields:
            ``oodbench.importing.mapping.FIELDS`` and ``hparams.NAME``. An object in a cell of a
            column, such as ``{"optimizer": {"name": "sgd"}}``, gives the columns
            ``COLUMN.optimizer.name``, ...; ``hparams`` takes all of them.
        constants: Field -> what it is for every model, such as ``{"dataset": "CIFAR"}``; also the
            facts ``shift``, ``chance``, ``num_classes``, ``optimizer_kind``, and ``sampler``.
        name: Name of the sweep in the database; the file's by default.
        percent: Whether accuracies are in percent, or the fields that are, such as ``["id"]``.
        separator: Between cells; detected by default.

    Raises:
        RequestError: If the file or the mapping cannot be used, a column has accuracies above 1 and
            is not declared to be in percent or has none and is, no row is left, or the database has
            another sweep of that name.
        DatabaseError: If the database cannot be used.
    """
    sheet = with_objects(read_sheet(file, separator))
    fields = fields_of(sheet, columns, constants or {})
    return import_sheet("csv", sheet, fields, db, name, percent)


def import_sheet(
    source: str,
    sheet: Sheet,
    fields: Fields,
    db: str | Path,
    name: str | None,
    percent: bool | Collection[str],
) -> ImportedRuns:
    """Store the rows of a table as runs; rows that cannot be runs are reported."""
    runs = runs_of(source, sheet, fields, percent)
    sweep, origin = name or Path(sheet.name).stem, {"file": sheet.name}
    imported = Imported(
        source, sweep, origin, runs.records, runs.facts, fields.sampler, runs.skipped
    )
    with open_database(db, create=True) as database:
        return add_imported(database, imported)


@dataclass(frozen=True)
class TableRuns:
    """The rows of a table as runs: see ``oodbench.results.Imported``."""

    records: list[RunRecord]
    facts: dict[Group, dict[str, Any]]
    skipped: tuple[str, ...]


def runs_of(
    source: str, sheet: Sheet, fields: Fields, percent: bool | Collection[str]
) -> TableRuns:
    """The rows that are models, each once.

    Raises:
        RequestError: If there are none, or a column's scale is not what ``percent`` says.
    """
    said = {line: fields.of(cells) for line, cells in sheet.rows.items()}
    units = units_of(sheet, fields, said, percent)
    records: dict[str, tuple[int, RunRecord]] = {}
    skipped = list(sheet.skipped)
    for line, row in said.items():
        try:
            record = record_of(source, sheet.name, line, row, units)
        except BadRowError as problem:
            skipped.append(f"row {line}: {problem}")
            continue
        first, _ = records.setdefault(record.trial.id, (line, record))
        if first != line:
            skipped.append(f"row {line}: it says the same as row {first}.")
    if not records:
        shown = "".join(f"\n  {text}" for text in skipped[:SHOWN]) or "\n  it has a header only"
        raise RequestError(f"{sheet.name} has no row that can be imported:{shown}")
    found = [record for _, record in records.values()]
    facts = {}
    for record in found:
        names = ENVIRONMENTS if record.trial.test_environments == (1,) else ()
        facts[group_of(record)] = facts_of(record.trial, names, fields.facts)
    return TableRuns(found, facts, tuple(skipped))
