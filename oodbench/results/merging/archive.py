"""A database as a folder of small Parquet files, a file a table, and back: to ship a study.

What another column says too is left out: a run's trial gives most of its columns, its id among
them; a reference is the number of a row; a number that only counts rows is not kept. Nor is what
analysis does not read: whose hands a run was in. Predictions are decompressed, for those of many
runs are far smaller when they are compressed together.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Column, Connection, Integer, Table, select

from oodbench.answers import compressed
from oodbench.errors import RequestError
from oodbench.records import Trial
from oodbench.results.connection.database import open_database
from oodbench.results.connection.engines import PLANNING, update_statistics, wait_for_turn
from oodbench.results.merging.archived import (
    ARCHIVED,
    CURVES,
    insert,
    ordered,
    references_of,
    whole,
)
from oodbench.results.merging.copying import check_empty, released, set_sequences
from oodbench.results.schema import REVISIONS, TABLES, predictions, runs, study_trials
from oodbench.results.trials import run_columns

if TYPE_CHECKING:
    import pandas as pd

ABOUT = "about.json"
"""What the archive is: ``about`` in a sentence, ``revision`` of its schema, ``oodbench``."""
SMALLEST, FAST = 22, 3
"""Levels of Zstandard: for files that are shipped, which are written once, and for others."""
LEFT_OUT = ("owner", "lease", "proposer_owner", "proposer_lease", "started", "origin")
"""Columns of no use to whoever trains nothing of it, and the one that is in the provenance."""
PACKED = predictions.c.packed
"""Deflated, run by run."""
TIMES = ("created", "finished")
"""Kept to the second."""
CHUNK = 20_000
"""Rows that are written to a database at a time."""
PAGE = 2**28
"""Bytes that are compressed together, at most."""


def write_archive(
    source: str | Path,
    folder: str | Path,
    about: str,
    *,
    all_steps: bool = False,
    predicted: int | None = None,
    level: int = SMALLEST,
) -> None:
    """Write all of a database into a folder; what is there of an older archive is replaced.

    Predictions that are in files of the artifacts folder are left out.

    Args:
        source: URL or path of the database; it is only read.
        folder: Made if missing.
        about: What it is, in a sentence.
        all_steps: Keep the measurements of every evaluation; else only those at the checkpoints
            that are selected from, ``last`` and ``best_id_val``, so that all scores stay.
        predicted: Keep the predictions of the first so many trials of each study; None: of all.
        level: Level of Zstandard, ``SMALLEST`` or ``FAST``.

    Raises:
        DatabaseError: If the database cannot be used.
        RequestError: If pyarrow is not installed.
    """
    check_installed()
    from pyarrow import Table as Arrow
    from pyarrow import parquet

    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    numbers: dict[Column[Any], dict[Any, int]] = {}
    with open_database(source, read_only=True) as db, db.read() as connection:
        for table in ARCHIVED:
            frame = _frame(connection, table, numbers, all_steps, predicted)
            whole = [name for name in frame if frame[name].dtype.kind == "i"]
            parquet.write_table(
                Arrow.from_pandas(frame, preserve_index=False).replace_schema_metadata(),
                to / f"{table.name}.parquet",
                compression="zstd",
                compression_level=level,
                use_dictionary=[n for n in frame if n not in whole and n != PACKED.name],
                data_page_size=PAGE,
                column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
                write_statistics=False,
            )
    said = {"about": about, "revision": REVISIONS[-1], "oodbench": version("oodbench")}
    (to / ABOUT).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def read_archive(folder: str | Path, destination: str | Path) -> Mapping[str, int]:
    """Put an archive into a new or empty database, whole or not at all.

    What an archive of an older schema lacks has the defaults that a migration would give it.

    Args:
        folder: See ``write_archive``.
        destination: Path or URL; made if there is none.

    Returns:
        How many rows each table has.

    Raises:
        DatabaseError: If the destination cannot be used, or has sweeps or runs already.
        RequestError: If the archive is of a newer oodbench, or pyarrow is not installed.
    """
    check_installed()
    source = Path(folder)
    revision = about_archive(source)["revision"]
    if revision not in REVISIONS:
        raise RequestError(
            f"{source} has the schema {revision}, which this oodbench does not know (its newest is "
            f"{REVISIONS[-1]}). Upgrade oodbench: pip install -U oodbench."
        )
    keys: dict[Column[Any], list[Any]] = {}
    with open_database(destination, create=True) as db, db.write() as connection:
        wait_for_turn(connection, PLANNING)
        check_empty(connection, db)
        counted = {
            table.name: _put(connection, table, source / f"{table.name}.parquet", keys)
            for table in ARCHIVED
        }
        update_statistics(connection, *TABLES)
        return counted


def about_archive(folder: Path) -> Mapping[str, str]:
    """What an archive says of itself: see ``ABOUT``."""
    said: dict[str, str] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return said


def check_installed() -> None:
    """Raise RequestError unless pyarrow is installed."""
    if find_spec("pyarrow") is None:
        raise RequestError("Parquet files need pyarrow: pip install 'oodbench[parquet]'.")


def _frame(
    connection: Connection,
    table: Table,
    numbers: dict[Column[Any], dict[Any, int]],
    all_steps: bool,
    predicted: int | None,
) -> "pd.DataFrame":
    """What is kept of a table; ``numbers`` has the row of each key of those before it."""
    import pandas as pd

    rows = [whole(table, row) for row in connection.execute(ordered(table))]
    frame = pd.DataFrame(rows, columns=table.columns.keys(), dtype=object)
    if table is CURVES and not all_steps:
        last = frame["step"] == frame.groupby("run_id")["step"].transform("max")
        best = select(runs.c.id, runs.c.summary[("best_id_val", "step")].as_integer().label("step"))
        steps = {row.id: row.step for row in connection.execute(best)}
        frame = frame[last | (frame["step"] == frame["run_id"].map(steps))]
    if table is predictions:
        frame = frame[frame["file"].isna()]
        frame[PACKED.name] = frame[PACKED.name].map(zlib.decompress)
        if predicted is not None:
            first = select(study_trials.c.run_id).where(study_trials.c.idx < predicted)
            frame = frame[frame["run_id"].isin(set(connection.scalars(first)))]
    references = references_of(table)
    for name, parent in references.items():
        frame[name] = frame[name].map(numbers[parent])
    frame = frame.sort_values(list(references), kind="stable") if references else frame
    for key in table.primary_key:
        numbers[key] = {value: row for row, value in enumerate(frame[key.name])}
    frame = frame.drop(columns=_implied(table, frame))
    for name in map(str, frame):
        if isinstance(table.c[name].type, JSON):
            frame[name] = frame[name].map(json.dumps, na_action="ignore")
        elif name in TIMES:
            frame[name] = frame[name].map(round, na_action="ignore")
        elif isinstance(table.c[name].type, Integer):
            frame[name] = frame[name].astype("Int64")  # which may be missing
    return frame.infer_objects()


def _implied(table: Table, frame: "pd.DataFrame") -> list[str]:
    """The columns that ``_row`` makes again, or that nobody needs."""
    counting = table.autoincrement_column
    names = [name for name in LEFT_OUT if name in frame]
    names += [counting.name] if counting is not None and not counting.foreign_keys else []
    if table is runs:
        decided = [run_columns(Trial.from_json(trial)) for trial in frame["trial"]]
        for name in decided[0].keys() - {"trial"} if decided else ():
            if [columns[name] for columns in decided] == frame[name].tolist():
                names.append(name)
    return names


def _put(
    connection: Connection, table: Table, path: Path, keys: dict[Column[Any], list[Any]]
) -> int:
    """Put a file into its table; ``keys`` has those of the tables before it, in order."""
    from pyarrow import parquet

    total = 0
    for key in table.primary_key:
        keys[key] = []
    batches = parquet.ParquetFile(path).iter_batches(CHUNK) if path.exists() else ()
    for batch in batches:
        rows = list(_rows(table, batch.to_pylist(), total, keys))
        for key in table.primary_key:
            keys[key] += [row[key.name] for row in rows]
        insert(connection, table, rows)
        total += len(rows)
    if total and connection.dialect.name == "postgresql":
        set_sequences(connection, table)
    return total


def _rows(
    table: Table,
    stored: Sequence[dict[str, Any]],
    first: int,
    keys: Mapping[Column[Any], list[Any]],
) -> Iterator[dict[str, Any]]:
    """The rows of the table; the first is its row number ``first``."""
    counting = table.autoincrement_column
    read: dict[str, Callable[[Any], Any]] = {
        **{column.name: json.loads for column in table.c if isinstance(column.type, JSON)},
        **{name: keys[parent].__getitem__ for name, parent in references_of(table).items()},
    }
    if table is predictions:
        read[PACKED.name] = compressed
    for number, row in enumerate(stored, start=first + 1):
        for name in row.keys() & read.keys():
            if row[name] is not None:
                row[name] = read[name](row[name])
        if counting is not None and counting.name not in row:
            row[counting.name] = number
        if table is runs:
            trial = Trial.from_json(row.pop("trial"))
            row = {**run_columns(trial), **row}
        yield released(table, row)
