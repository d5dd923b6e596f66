"""A whole small study on real digits: sweep, database, report, figures, summary."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench import analysis
from oodbench.errors import writable
from oodbench.results import Database, open_database, pairs
from oodbench.siblings import sibling
from oodbench.sweep.plan import as_spec
from oodbench.verbs.report import report
from oodbench.verbs.sweep import run_sweep
from oodbench.workers.executors.local import Counts

if TYPE_CHECKING:
    import pandas as pd

RECIPE = "digits.yaml"


def quickstart(
    out: str | Path = "quickstart",
    *,
    workers: int | None = None,
    on_progress: Callable[[Counts], None] | None = None,
) -> "pd.DataFrame":
    """A whole small study on real digits: sweep, database, figures, summary.

    Leaves in ``out``: ``digits.yaml``, ``results.db``, ``report.html``, ``scatter-*.png``,
    ``box-*.png`` and ``summary.md``.

    Args:
        out: Folder for the results; an interrupted study goes on from there.
        workers: Processes; one for each CPU core by default.
        on_progress: See ``run_sweep``.

    Returns:
        ``analysis.optimizer_table`` of the study.

    Raises:
        RequestError: If the folder cannot be written.
    """
    folder = Path(out)
    text = (sibling("sweeps") / RECIPE).read_text(encoding="utf-8")
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        recipe = folder / RECIPE
        if not recipe.exists():  # an edited copy is kept: it adds trials
            recipe.write_text(text, encoding="utf-8")
    db = folder / "results.db"
    run_sweep(recipe, db, workers=workers, on_progress=on_progress)
    name = as_spec(recipe).name
    report(db, folder / "report.html", sweep=name, title="Quickstart: optimizers on digits")
    with writable(folder), open_database(db, read_only=True) as database:
        return write_digest(database, name, folder)


def write_digest(db: Database, sweep: str, folder: Path) -> "pd.DataFrame":
    """Write scatter and box plots of each dataset, and ``summary.md``.

    Returns:
        ``analysis.optimizer_table`` of the sweep.
    """
    frame = pairs(db, sweep=sweep)
    figures = []
    for dataset in frame["dataset"].unique():
        for kind, draw in (("scatter", analysis.scatter), ("box", analysis.box)):
            path = folder / f"{kind}-{dataset}.png"
            figures.append(analysis.save(draw(frame, dataset=dataset), path).name)
    text = analysis.summary_markdown(frame, title=sweep, figures=figures)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    return analysis.optimizer_table(frame)
