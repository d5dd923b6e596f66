"""conclude: what the runs say about optimizers out of distribution."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Budget, Checkpoint, Db, Seed, Sweep, Unit, Where
from oodbench.errors import UnknownNameError

if TYPE_CHECKING:
    from oodbench.analysis import Conclusions

FORMATS = ("text", "csv", "json")
WIDEST = 100


def conclude(
    db: Db,
    where: Where = None,
    rule: Annotated[
        str, typer.Option("--select", help="How each optimizer's run is selected.")
    ] = "id_val",
    budget: Budget = None,
    unit: Unit = "trials",
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    format_: Annotated[
        str, typer.Option("--format", help="text, or the statements as csv or json.")
    ] = "text",
    tables: Annotated[
        Path | None, typer.Option(help="A folder for the tables behind the statements (CSV).")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Say which optimizer wins out of distribution, and what ID accuracy buys.

    Each statement of the study holds, does not hold, or is undecided, on each dataset and by class
    of shift.

    Example: oodbench conclude --db digits.db --tables digits/
    """
    if format_ not in FORMATS:
        raise UnknownNameError("format", format_, FORMATS)
    options = {"rule": rule, "budget": budget, "unit": unit, "seed": seed}
    found = api.conclude(db, where, sweep=name, checkpoint=checkpoint, **options)
    show(found, format_)
    if tables is not None:
        write_tables(found, tables)


def show(found: "Conclusions", format_: str) -> None:
    """Print the statements in one of ``FORMATS``."""
    from oodbench.analysis import conclusions_text

    if format_ == "text":
        print(conclusions_text(found, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)))
        return
    for reason in found.left_out:
        print(reason, file=sys.stderr)
    if format_ == "csv":
        found.claims.to_csv(sys.stdout, index=False)
    else:
        print(found.claims.to_json(orient="records", indent=1))


def write_tables(found: "Conclusions", folder: Path) -> None:
    """Write the tables behind the statements."""
    from oodbench.analysis import return_table

    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "claims": found.claims,
        "returns": return_table(found.curves),
        "classes": found.classes,
        "optimizers": found.optimizers,
        "equal_id": found.equal_id,
    }
    if len(found.kinds):
        frames["kinds"] = found.kinds
    for title, frame in frames.items():
        frame.to_csv(folder / f"{title}.csv", index=False)
    print(f"wrote {', '.join(f'{title}.csv' for title in frames)} to {folder}", file=sys.stderr)
