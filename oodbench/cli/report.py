"""report."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from oodbench.cli.options import Checkpoint, Db, Sweep, Where


def report(
    db: Db,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="An .html file; replaced if it exists.")
    ] = Path("report.html"),
    where: Where = None,
    rule: Annotated[
        str,
        typer.Option(
            "--rule", "--select", help="How each optimizer's run is selected; named everywhere."
        ),
    ] = "id_val",
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Of each optimizer; else an eighth of the least trained."),
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", help="Of the budget: trials or gradient_evaluations.")
    ] = "trials",
    title: Annotated[
        str, typer.Option("--title", help="Of the page.")
    ] = "Optimizers out of distribution",
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    palette: Annotated[
        str, typer.Option("--palette", help="default (colour-blind safe) or study.")
    ] = "default",
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstraps.")] = 0,
) -> None:
    """Write one HTML file that shows what the runs say, and opens offline.

    An interactive ID/OOD scatter with filters, verdicts and tables, return and budget curves,
    learning curves, run health, provenance and methods.

    Example: oodbench report --db digits.db -o report.html --where "dataset = 'ColoredDigits'"
    """
    from oodbench import api

    def tell(what: str) -> None:
        print(f"oodbench: {what}", file=sys.stderr, flush=True)

    path = api.report(
        db,
        output,
        where,
        rule=rule,
        budget=budget,
        unit=unit,
        title=title,
        sweep=name,
        checkpoint=checkpoint,
        palette=palette,
        seed=seed,
        on_step=tell,
    )
    print(f"wrote {path} ({path.stat().st_size / 2**20:.1f} MiB)")
