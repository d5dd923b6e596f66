"""conclude."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from oodbench.cli.options import Checkpoint, Db, Sweep, Where
from oodbench.errors import UnknownNameError

FORMATS = ("text", "csv", "json")
WIDEST = 100


def conclude(
    db: Db,
    where: Where = None,
    rule: Annotated[
        str, typer.Option("--select", help="How each optimizer's run is selected.")
    ] = "id_val",
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Of each optimizer; else an eighth of the least trained."),
    ] = None,
    unit: Annotated[
        str, typer.Option("--unit", help="Of the budget: trials or gradient_evaluations.")
    ] = "trials",
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    format_: Annotated[
        str, typer.Option("--format", help="text, or the statements as csv or json.")
    ] = "text",
    tables: Annotated[
        Path | None,
        typer.Option("--tables", help="A folder for the tables behind the statements (CSV)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstraps.")] = 0,
) -> None:
    """Say which optimizer wins out of distribution, and what ID accuracy buys.

    Each statement of the study holds, does not hold, or is undecided, on each dataset and by class
    of shift.

    Example: oodbench conclude --db digits.db --tables digits/
    """
    from oodbench import api
    from oodbench.analysis import conclusions_text, return_table

    if format_ not in FORMATS:
        raise UnknownNameError("format", format_, FORMATS)
    found = api.conclude(
        db,
        where,
        sweep=name,
        checkpoint=checkpoint,
        rule=rule,
        budget=budget,
        unit=unit,
        seed=seed,
    )
    for reason in found.left_out if format_ != "text" else ():
        print(reason, file=sys.stderr)
    if format_ == "csv":
        found.claims.to_csv(sys.stdout, index=False)
    elif format_ == "json":
        print(found.claims.to_json(orient="records", indent=1))
    else:
        print(conclusions_text(found, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)))
    if tables is not None:
        tables.mkdir(parents=True, exist_ok=True)
        frames = {"claims": found.claims, "returns": return_table(found.curves)}
        frames |= {"classes": found.classes}
        frames |= {"optimizers": found.optimizers, "equal_id": found.equal_id}
        frames |= {"kinds": found.kinds} if len(found.kinds) else {}
        for title, frame in frames.items():
            frame.to_csv(tables / f"{title}.csv", index=False)
        print(f"wrote {', '.join(f'{title}.csv' for title in frames)} to {tables}", file=sys.stderr)
