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
    """Run a small study on real digits, with figures.

    It leaves a database, figures and summary.md, and goes on where it was interrupted.

    Example: oodbench quickstart --out quickstart
    """
    from oodbench.cli.printing import show_results
    from oodbench.cli.progress import Progress

    with Progress() as progress:
        table = api.quickstart(out, workers=workers, on_progress=progress)
    show_results(table)
    print(f"\nIn {out}: results.db, summary.md, scatter-*.png, box-*.png")
    print(f"Ask it: oodbench query --db {out / 'results.db'} --select id_val")
    exit_if_failed(progress.counts, out / "results.db")
