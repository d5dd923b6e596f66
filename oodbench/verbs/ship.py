"""Making a study one that is shipped; for maintainers: ``make example``."""

import json
from pathlib import Path
from typing import Any

from oodbench.results.merging.archive import write_archive
from oodbench.verbs.example import EXAMPLES, POWER
from oodbench.verbs.power import powers_of


def ship(db: str | Path, name: str, about: str, **options: Any) -> None:
    """Write the archive of a study, with the power that its searches imply for others.

    Args:
        db: URL or path of its database.
        name: Name of the study.
        about: What it is, in a sentence.
        options: Options of ``write_archive``.
    """
    write_archive(db, EXAMPLES / name, about, **options)
    rows = ",\n".join(f" {json.dumps(row)}" for row in powers_of(db))
    (EXAMPLES / name / POWER).write_text(f"[\n{rows}\n]\n", encoding="utf-8")
