"""Studies that are shipped with oodbench: a database without training anything."""

from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.errors import check_name
from oodbench.results import counts, open_database
from oodbench.results.merging.archive import read_archive

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = Path(__file__).parents[1] / "examples"
"""An archive each; ``make example`` writes them."""
POWER = "power.json"
"""The file beside the archive: the power that its searches imply for others."""


def example_names() -> list[str]:
    """The studies that are shipped."""
    return sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def example(name: str, db: str | Path) -> "pd.DataFrame":
    """Make a database of a study that is shipped, to query, judge and plot in seconds.

    It has every run with its scores, and the measurements at least at the checkpoints that are
    selected from: the last, and the one that is best by ID validation.

    Args:
        name: Name of the study, such as ``digits``.
        db: URL of a database, or path of a SQLite file: new or empty.

    Returns:
        A row per study: its runs by status. See ``status``.

    Raises:
        UnknownNameError: If there is no such study.
        DatabaseError: If the database cannot be used, or has sweeps or runs already.
        RequestError: If pyarrow is not installed.
    """
    check_name("example", name, example_names())
    read_archive(EXAMPLES / name, db)
    with open_database(db, read_only=True) as database:
        return counts(database)
