"""The report of a database: reads what it needs, has ``analysis`` make the page."""

from collections.abc import Callable
from typing import Any

from oodbench.results import Database, checkpoints, origins, pairs, sweep_specs
from oodbench.verbs.digest import edge_warnings


def report_page(
    db: Database,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    name: str = "",
    on_step: Callable[[str], None] = lambda what: None,
    **options: Any,
) -> str:
    """The report as HTML; see ``analysis.report_html`` for ``options``.

    Args:
        db: The database.
        where: A condition on the runs.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        name: What the database is called in the page.
        on_step: Told what is being done.
    """
    from oodbench import analysis
    from oodbench.analysis import Source

    on_step("reading runs")
    frame = pairs(db, where, sweep, checkpoint)
    on_step("reading learning curves")
    curves = checkpoints(db, where, sweep)
    mine = origins(db)
    given = {"database": name, "condition": where, "sweep": sweep}
    # Edges of search ranges are looked for in whole sweeps, not in what a condition keeps.
    specs = [item for item in sweep_specs(db) if sweep in (None, item["name"])]
    source = Source(
        facts={key: value for key, value in given.items() if value},
        origins=mine[mine["run"].isin(frame["run"])],
        sweeps=specs,
        notes=[note for item in specs for note in edge_warnings(db, item["name"])]
        if not where
        else [],
    )
    return analysis.report_html(frame, curves, source=source, on_step=on_step, **options)
