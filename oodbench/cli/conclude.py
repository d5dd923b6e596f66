"""conclude: what the runs say about optimizers out of distribution."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Budget, Checkpoint, Db, EscapeFormulas, Seed, Sweep, Unit, Where
from oodbench.errors import check_name

if TYPE_CHECKING:
    from oodbench.analysis import Conclusions

FORMATS = ("text", "markdown", "latex", "json", "csv")
WIDEST = 80


def conclude(
    db: Db,
    where: Where = None,
    rule: Annotated[
        str, typer.Option("--select", help="Rule that selects each optimizer's run.")
    ] = "id_val",
    budget: Budget = None,
    unit: Unit = "trials",
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    baseline: Annotated[
        str | None,
        typer.Option(help="Optimizer; how robust are the others at its ID accuracies?"),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="text, markdown, latex, json or csv.")
    ] = "text",
    tables: Annotated[
        Path | None, typer.Option(help="A folder for the tables behind the statements (CSV).")
    ] = None,
    seed: Seed = 0,
    escape_formulas: EscapeFormulas = True,
) -> None:
    """State which optimizer wins OOD, and what ID accuracy buys.

    The output states the winner by class of shift, then the findings on each dataset, then their
    limits. For models without validation scores it judges what needs no selection.

    Example: oodbench conclude --db digits.db --tables digits/
    """
    check_name("format", format_, FORMATS)
    options = {"rule": rule, "budget": budget, "unit": unit, "baseline": baseline, "seed": seed}
    found = api.conclude(db, where, sweep=name, checkpoint=checkpoint, **options)
    print(conclusions_in(found, format_, escape_formulas))
    if tables is not None:
        write_tables(found, tables, escape_formulas)


def conclusions_in(found: "Conclusions", format_: str, escape_formulas: bool = True) -> str:
    """The conclusions in one of ``FORMATS``; as text they fit the terminal."""
    from oodbench.analysis import conclusions_as
    from oodbench.cli.printing import plain

    width = min(WIDEST, shutil.get_terminal_size().columns)
    return plain(conclusions_as(found, format_, width, escape_formulas))


def write_tables(found: "Conclusions", folder: Path, escape_formulas: bool) -> None:
    """Write the tables behind the statements."""
    from oodbench.analysis import return_table
    from oodbench.results.spreadsheets import write_csv

    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "claims": found.claims,
        "returns": return_table(found.curves),
        "classes": found.classes,
        "optimizers": found.optimizers,
        "equal_id": found.equal_id,
        "lines": found.lines,
        "kinds": found.kinds,
        "robustness": found.robustness,
    }
    frames = {title: frame for title, frame in frames.items() if len(frame)}
    for title, frame in frames.items():
        write_csv(frame, folder / f"{title}.csv", escape_formulas)
    print(f"wrote {', '.join(f'{title}.csv' for title in frames)} to {folder}", file=sys.stderr)
