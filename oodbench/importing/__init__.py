"""Results that people already have, as runs: DomainBed's folders, tables of models, W&B exports.

A file here reads one kind of source; ``oodbench.results.imports`` stores what it finds. Imported
runs are of a protocol of their own (``imported:domainbed``, ...), so that they are never pooled
with others, and what is not known of them is said in their provenance.
"""

from pathlib import Path
from typing import Any

from oodbench.importing.domainbed import from_domainbed
from oodbench.results import Imported, ImportedRuns, add_imported, open_database

__all__ = ["from_domainbed", "import_domainbed"]


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


def _store(imported: Imported, db: str | Path) -> ImportedRuns:
    with open_database(db, create=True) as database:
        return add_imported(database, imported)
