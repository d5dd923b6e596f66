"""quickstart: a whole small study."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Workers, exit_if_failed


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("quickstart"),
    workers: Workers = None,
) -> None:
    """Run a small study on real digits; name the best optimizer.

    It leaves a database, report.html, summary.md and figures, and goes on where it was interrupted.

    Example: oodbench quickstart --out quickstart
    """
    from oodbench.analysis import answer_text
    from oodbench.cli.printing import show_results

    table = api.quickstart(out, workers=workers)
    db = out / "results.db"
    show_results(table)
    print(f"\n{answer_text(api.conclude(db))}")
    print(f"\nIn {out}: report.html, results.db, summary.md, scatter-*.png, box-*.png")
    print(f"Next: open {out / 'report.html'}, or oodbench conclude --db {db}")
    exit_if_failed(int(table["failed"].sum()), db)
