"""One row a run, with what its columns mean: CSV, Parquet or JSON."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from oodbench.errors import RequestError, check_name, check_output
from oodbench.exporting.definitions import DEFINITIONS, HPARAMS, OF_TARGET, PROVENANCE
from oodbench.results import Database, open_database, pairs
from oodbench.results.provenances import provenance_of, runs_with_origins
from oodbench.results.schema import origins, runs
from oodbench.results.spreadsheets import write_csv
from oodbench.results.targets import TARGETS, are_of_targets

if TYPE_CHECKING:
    import pandas as pd

STUDY = (
    "Naganuma et al., Empirical Study on Optimizer Selection for Out-of-Distribution "
    "Generalization, TMLR 2023"
)


def export(
    kind: str,
    db: str | Path,
    output: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    escape_formulas: bool = True,
) -> "pd.DataFrame":
    """Write all runs that match into a file, whatever became of them.

    With a CSV file comes ``FILE.about.json``; JSON and Parquet files hold the same inside: version,
    date, condition, protocols, numbers of runs by status, and the definition of each column.

    Args:
        kind: ``csv``, ``parquet`` or ``json``.
        db: URL or path of the database.
        output: The file; it is replaced whole.
        where: A condition, as for ``oodbench.query``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        escape_formulas: In a CSV file: see ``oodbench.results.spreadsheets``.

    Returns:
        What was written, before anything was escaped.

    Raises:
        UnknownNameError: If there is no such kind, column, sweep or checkpoint rule.
        QueryError: If the condition is not one.
        RequestError: If no run matches, the file cannot be written, or ``parquet`` needs pyarrow.
    """
    check_name("format", kind, WRITERS)
    write = WRITERS[kind] if escape_formulas or kind != "csv" else partial(_csv, escape=False)
    if kind == "parquet":
        check_pyarrow()
    with open_database(db, read_only=True) as database:
        frame = table_of(database, where, sweep, checkpoint)
    if frame.empty:
        raise RequestError("No run matches, so there is nothing to export.")
    try:
        write(frame, describe(frame, where, sweep, checkpoint), Path(output))
    except OSError as error:
        raise RequestError(f"Cannot write to {output}: {error.strerror or error}.") from error
    return frame


def check_pyarrow() -> None:
    """Raise RequestError unless Parquet files can be written."""
    if find_spec("pyarrow") is None:
        raise RequestError("Parquet files need pyarrow: pip install 'oodbench[parquet]'.")


def table_of(db: Database, where: str | None, sweep: str | None, checkpoint: str) -> "pd.DataFrame":
    """The columns of ``DEFINITIONS`` in that order, then ``hparams.NAME``."""
    import pandas as pd

    frame = pairs(db, where, sweep, checkpoint)
    with db.read() as connection:
        columns = runs.c.id, runs.c.fingerprint, runs.c.provenance, origins.c.shared
        more = {}
        for row in connection.execute(select(*columns).select_from(runs_with_origins)):
            provenance = provenance_of(row)
            named = {name: provenance.get(name) for name in PROVENANCE}
            more[row.id] = {"fingerprint": row.fingerprint, **named}
    extra = pd.DataFrame([more[run] for run in frame["run"]], index=frame.index)
    extra = extra.reindex(columns=["fingerprint", *PROVENANCE])
    known = [name for name in DEFINITIONS if name in frame.columns]
    targets = are_of_targets(frame.columns)
    drawn = frame.drop(columns=[*known, *targets, "position"]).drop(
        columns=TARGETS, errors="ignore"
    )
    drawn.columns = [HPARAMS + _plain(str(name)) for name in drawn.columns]
    whole = pd.concat([frame[known], extra], axis=1)[list(DEFINITIONS)]
    return pd.concat([whole, frame[targets], drawn], axis=1)


def _plain(name: str) -> str:
    """A hyperparameter's own name; see ``oodbench.results.frames.spread``."""
    own = name.removeprefix("hparam_")
    return own if own in (*DEFINITIONS, "position") else name


def describe(
    frame: "pd.DataFrame", where: str | None, sweep: str | None, checkpoint: str
) -> dict[str, Any]:
    """What to know of an export, and whom to cite."""
    counts = frame["status"].value_counts()
    targets = are_of_targets(frame.columns)
    drawn = [name for name in frame.columns if name not in DEFINITIONS and name not in targets]
    return {
        "made_by": f"oodbench {version('oodbench')}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cite": [f"oodbench {version('oodbench')}", STUDY],
        "rows": "one a run; diverged and failed runs are results and are among them",
        "runs": len(frame),
        "statuses": {str(name): int(n) for name, n in counts.items()},
        "protocols": sorted(frame["protocol"].unique()),
        "where": where,
        "sweep": sweep,
        "checkpoint": checkpoint,
        "columns": {
            **DEFINITIONS,
            **{n: OF_TARGET[n.startswith("n_")] for n in targets},
            **{n: f"Hyperparameter {n.removeprefix(HPARAMS)}; missing: not used." for n in drawn},
        },
    }


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write whole or not at all."""
    check_output(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _csv(frame: "pd.DataFrame", about: dict[str, Any], path: Path, escape: bool = True) -> None:
    replace_file(path, lambda to: write_csv(frame, to, escape))
    text = json.dumps(about, indent=1) + "\n"
    beside = path.with_name(path.name + ".about.json")
    replace_file(beside, lambda to: to.write_text(text, encoding="utf-8"))


def _json(frame: "pd.DataFrame", about: dict[str, Any], path: Path) -> None:
    plain = frame.astype(object).where(frame.notna(), None)
    text = json.dumps({"about": about, "runs": plain.to_dict("records")}, indent=1, default=str)
    replace_file(path, lambda to: to.write_text(text + "\n", encoding="utf-8"))


def _parquet(frame: "pd.DataFrame", about: dict[str, Any], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    for name in frame.columns:  # a column has one type: texts where values differ in theirs
        if frame[name].dtype == object and frame[name].dropna().map(type).nunique() > 1:
            texts = frame[name].map(lambda value: value if value is None else str(value))
            frame = frame.assign(**{name: texts.where(frame[name].notna(), None)})
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"oodbench": json.dumps(about).encode()}
    table = table.replace_schema_metadata(metadata)
    replace_file(path, lambda to: parquet.write_table(table, to))


WRITERS: dict[str, Callable[["pd.DataFrame", dict[str, Any], Path], None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "json": _json,
}
