"""Runs as an archive: a folder of Parquet files that has all that others need to judge them."""

from pathlib import Path

from oodbench.errors import RequestError, writable
from oodbench.results.connection.address import describe_target
from oodbench.results.merging.archive import FAST, write_archive


def export_runs(db: str | Path, folder: str | Path, about: str = "") -> None:
    """Write sweeps, studies, runs, measurements and predictions as Parquet files, a file a table.

    Args:
        db: URL or path of the database; it is only read.
        folder: Made if missing; an older archive in it is replaced.
        about: What the runs are, in a sentence.

    Raises:
        DatabaseError: The database cannot be used.
        RequestError: pyarrow is not installed, or the folder cannot be written.
    """
    if Path(folder).is_file():
        raise RequestError(f"An archive is a folder, but {folder} is a file. Name another place.")
    with writable(folder):
        said = about or f"Runs of {describe_target(db)}."
        write_archive(db, folder, said, all_steps=True, level=FAST)
