"""report: one HTML file about the runs."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Budget, Checkpoint, Db, Seed, Sweep, Unit, Where


def report(
    db: Db,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="An .html file; replaced if it exists.")
    ] = Path("report.html"),
    where: Where = None,
    rule: Annotated[
        str,
        typer.Option(
            "--rule", "--select", help="Rule that selects each optimizer's run; named everywhere."
        ),
    ] = "id_val",
    budget: Budget = None,
    unit: Unit = "trials",
    title: Annotated[
        str, typer.Option(help="Title of the page.")
    ] = "Optimizers out of distribution",
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    palette: Annotated[str, typer.Option(help="default (colour-blind safe) or study.")] = "default",
    seed: Seed = 0,
) -> None:
    """Write a report of the runs: one HTML file that opens offline.

    An interactive ID/OOD scatter with filters, verdicts and tables, return and budget curves,
    learning curves, run health, provenance and methods.

    Example: oodbench report --db digits.db -o report.html --where "dataset = 'ColoredDigits'"
    """
    options: dict[str, Any] = {"rule": rule, "budget": budget, "unit": unit, "seed": seed}
    options |= {"sweep": name, "checkpoint": checkpoint, "title": title, "palette": palette}
    tell = partial(print, "oodbench:", file=sys.stderr, flush=True)
    path = api.report(db, output, where, on_step=tell, **options)
    print(f"wrote {path} ({path.stat().st_size / 2**20:.1f} MiB)")
