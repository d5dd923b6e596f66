"""Results that people already have, as runs: DomainBed's folders, tables of models, W&B exports.

A file here reads one kind of source; ``oodbench.results.imports`` stores what it finds. Imported
runs are of a protocol of their own (``imported:domainbed``, ...), so that they are never pooled
with others, and what is not known of them is said in their provenance.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oodbench.importing.csv_table import from_csv
from oodbench.importing.domainbed_folders import from_domainbed
from oodbench.importing.wandb import from_wandb
from oodbench.results import Imported, ImportedRuns, add_imported, open_database

__all__ = [
    "from_csv",
    "from_domainbed",
    "from_wandb",
    "import_csv",
    "import_domainbed",
    "import_wandb",
]


def import_domainbed(
    folder: str | Path, db: str | Path, *, name: str | None = None, **facts: Any
) -> ImportedRuns:
    """Put the finished runs of a DomainBed sweep into a database; twice adds nothing.

    Args:
        folder: The sweep's ``--output_dir``.
        db: URL or path of the database; created if missing.
        name: Of the sweep in the database; the folder's by default.
        facts: What DomainBed does not log: ``shift`` (``correlation`` or ``diversity``),
            ``chance``, ``num_classes``.

    Raises:
        RequestError: No such folder, no run in it can be read, a fact is none, or the database has
            another sweep of that name.
        DatabaseError: If the database cannot be used.
    """
    return _store(from_domainbed(folder, name, facts), db)


def import_csv(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool = False,
    separator: str | None = None,
) -> ImportedRuns:
    """Put a table of models with ID and OOD accuracies into a database; twice adds nothing.

    Args:
        file: A CSV file with a header and a row a model.
        db: URL or path of the database; created if missing.
        columns: Field -> its column, such as ``{"id": "val_acc", "ood": "test_acc"}``. Fields:
            ``oodbench.importing.mapping.FIELDS`` and ``hparams.NAME``.
        constants: Field -> what it is for every model, such as ``{"dataset": "CIFAR"}``; also the
            facts ``shift``, ``chance``, ``num_classes``, ``optimizer_kind``, and ``sampler``.
        name: Of the sweep in the database; the file's by default.
        percent: Whether accuracies are in percent.
        separator: Between cells; found out by default.

    Raises:
        RequestError: If the file or the mapping cannot be used, accuracies above 1 are not said to
            be percent, no row is left, or the database has another sweep of that name.
        DatabaseError: If the database cannot be used.
    """
    found = from_csv(file, columns, constants, name=name, percent=percent, separator=separator)
    return _store(found, db)


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

    Args, Raises:
        As ``import_csv``.
    """
    return _store(from_wandb(file, columns, constants, name=name, percent=percent), db)


def _store(imported: Imported, db: str | Path) -> ImportedRuns:
    with open_database(db, create=True) as database:
        return add_imported(database, imported)
