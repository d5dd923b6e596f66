"""The report of a database: reads what it needs, has ``analysis`` make the page."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.errors import RequestError, check_output, writable
from oodbench.machine import one_blas_thread
from oodbench.results import (
    Database,
    checkpoints,
    describe_target,
    environment_accuracies,
    environment_names,
    open_database,
    origins,
    probed,
    sweep_specs,
)
from oodbench.verbs.query import read_runs
from oodbench.workers.artifacts import known_predictions


def report(
    db: str | Path,
    output: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    on_step: Callable[[str], None] = lambda what: None,
    **options: Any,
) -> Path:
    """Write what the runs say as one HTML file that opens offline.

    Args:
        db: URL or path of the database.
        output: A file ending in .html; replaced if it exists, and never left half written.
        where: See ``query``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        on_step: Called with what is being done.
        options: ``rule``, ``budget``, ``unit``, ``seed``, ``title`` and ``palette`` of
            ``analysis.report_html``.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: No such rule, unit, palette, column, sweep or checkpoint rule.
        QueryError: If the condition is none, or no run has the score that the rule reads.
        RequestError: No runs, or the file cannot be written.
    """
    path = Path(output)
    if path.suffix not in (".html", ".htm"):
        raise RequestError(f"A report is an .html file, but got {str(path)!r}: name it so.")
    with open_database(db, read_only=True) as database:
        on_step("reading runs")
        frame = read_runs(database, where, sweep, checkpoint, options.get("rule", "id_val"))
        on_step("reading learning curves")
        shown = sorted(analysis.shown_runs(frame, options.get("rule", "id_val")))
        curves = checkpoints(database, ids=shown)
        given = {"database": describe_target(db), "condition": where, "sweep": sweep}
        source = _source(database, given, frame["run"])
        known: dict[str, Any] = {
            "predictions": known_predictions(database, where, sweep, checkpoint),
            "probes": probed(database),
            "environments": environment_accuracies(database, checkpoint, shown),
        }
    with one_blas_thread():
        known |= {"source": source, "on_step": on_step, **options}
        page = analysis.report_html(frame, curves, **known)
    with writable(path):
        check_output(path)
        part = path.with_name(f"{path.name}.part")
        part.write_text(page, encoding="utf-8", newline="\n")
        return part.replace(path)


def _source(
    db: Database, given: Mapping[str, str | None], runs: "pd.Series[str]"
) -> "analysis.Source":
    """What the page says of where its numbers, those of ``runs``, come from.

    What it was asked for is ``given``: ``database``, ``condition``, ``sweep``.
    """
    mine = origins(db)
    specs = [item for item in sweep_specs(db) if given["sweep"] in (None, item["name"])]
    return analysis.Source(
        facts={key: value for key, value in given.items() if value},
        origins=mine[mine["run"].isin(runs)],
        sweeps=specs,
        environments=environment_names(db),
    )
