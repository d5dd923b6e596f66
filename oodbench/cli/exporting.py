"""export csv, parquet, json, optuna."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench.cli.options import Checkpoint, Db, Sweep, Where

app = typer.Typer(no_args_is_help=True, help="Write results for other tools.")

Output = Annotated[Path, typer.Option("--output", "-o", help="The file; it is replaced.")]


@app.callback()
def exporting() -> None:
    """Write results for other tools."""


def write(
    kind: str, db: str, output: Path, where: str | None, name: str | None, checkpoint: str
) -> None:
    """Export, and say how much."""
    from oodbench.exporting import export

    frame = export(kind, db, output, where, sweep=name, checkpoint=checkpoint)
    print(f"wrote {output}: {len(frame):,} runs, {len(frame.columns)} columns")


@app.command("csv")
def as_csv(
    db: Db, output: Output, where: Where = None, name: Sweep = None, checkpoint: Checkpoint = "last"
) -> None:
    """One row a run; what the columns mean is in FILE.about.json beside it.

    Example: oodbench export csv --db digits.db -o digits.csv
    """
    write("csv", db, output, where, name, checkpoint)


@app.command("parquet")
def as_parquet(
    db: Db, output: Output, where: Where = None, name: Sweep = None, checkpoint: Checkpoint = "last"
) -> None:
    """The same with types and definitions inside; needs oodbench[parquet].

    Example: oodbench export parquet --db digits.db -o digits.parquet
    """
    write("parquet", db, output, where, name, checkpoint)


@app.command("json")
def as_json(
    db: Db, output: Output, where: Where = None, name: Sweep = None, checkpoint: Checkpoint = "last"
) -> None:
    """The same as {"about": ..., "runs": [...]}.

    Example: oodbench export json --db digits.db -o digits.json
    """
    write("json", db, output, where, name, checkpoint)


@app.command()
def optuna(
    storage: Annotated[
        str, typer.Argument(metavar="URL", help="Optuna's storage: sqlite:///optuna.db, ...")
    ],
    db: Db,
    name: Sweep = None,
) -> None:
    """Each study as an Optuna study, for optuna-dashboard. Twice adds nothing.

    Example: oodbench export optuna sqlite:///optuna.db --db digits.db
    """
    from oodbench.exporting import export_optuna

    done = export_optuna(db, storage, sweep=name)
    print(f"{done.studies:,} studies: {done.new:,} trials added, {done.known:,} there already")
    if done.unscored:
        print(f"left out: {done.unscored:,} completed runs without id_val, the objective")
