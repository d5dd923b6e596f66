"""export csv, parquet, json, predictions, optuna."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Artifacts, Checkpoint, Db, EscapeFormulas, Sweep, Where

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    help="Write results for other tools.\n\n"
    "Example: oodbench export csv --db digits.db -o digits.csv",
)

Output = Annotated[Path, typer.Option("--output", "-o", help="The file; it is replaced.")]


TABLES = {
    "parquet": "Write one row per run, with types; needs oodbench[parquet].",
    "json": 'Write one object: {"about": ..., "runs": [...]}.',
}


@app.command()
def csv(
    db: Db,
    output: Output,
    where: Where = None,
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    escape_formulas: EscapeFormulas = True,
) -> None:
    """Write one row per run.

    The file FILE.about.json beside it explains the columns.

    Example: oodbench export csv --db digits.db -o digits.csv
    """
    frame = api.export(
        "csv",
        db,
        output,
        where,
        sweep=name,
        checkpoint=checkpoint,
        escape_formulas=escape_formulas,
    )
    tell(output, frame)


def tell(output: Path, frame: "pd.DataFrame") -> None:
    """Print which file was written, and its size."""
    print(f"wrote {output}: {len(frame):,} runs, {len(frame.columns)} columns")


def table(kind: str) -> Callable[..., None]:
    """The command that exports tables of one kind."""

    def command(
        db: Db,
        output: Output,
        where: Where = None,
        name: Sweep = None,
        checkpoint: Checkpoint = "last",
    ) -> None:
        frame = api.export(kind, db, output, where, sweep=name, checkpoint=checkpoint)
        tell(output, frame)

    example = f"oodbench export {kind} --db digits.db -o digits.{kind}"
    command.__doc__ = f"{TABLES[kind]}\n\nExample: {example}"
    return command


for kind in TABLES:
    app.command(kind)(table(kind))


@app.command()
def predictions(
    db: Db,
    out: Annotated[Path, typer.Option("--out", help="The folder; a set of examples has its own.")],
    where: Where = None,
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    artifacts: Artifacts = None,
) -> None:
    """Write each run's predictions: Parquet, and CSV for WILDS.

    Example: oodbench export predictions --db digits.db --out predictions
    """
    done = api.export_predictions(
        db, out, where, sweep=name, checkpoint=checkpoint, artifacts=artifacts
    )
    print(f"wrote the predictions of {done.runs:,} runs:")
    for folder in done.folders:
        print(f"  {folder}")
    if done.wilds:
        print(f"with {done.wilds:,} CSV files for WILDS' evaluate.py, in wilds/ of these folders")


@app.command()
def optuna(
    storage: Annotated[
        str, typer.Argument(metavar="URL", help="Optuna's storage: sqlite:///optuna.db, ...")
    ],
    db: Db,
    name: Sweep = None,
) -> None:
    """Write each study as an Optuna study, for optuna-dashboard.

    Exporting again adds nothing.

    Example: oodbench export optuna sqlite:///optuna.db --db digits.db
    """
    done = api.export_optuna(db, storage, sweep=name)
    print(f"{done.studies:,} studies: {done.new:,} trials added, {done.known:,} there already")
    if done.unscored:
        print(f"left out: {done.unscored:,} completed runs without id_val, the objective")


@app.command("runs")
def archive(
    db: Db,
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder; made if missing.")],
    about: Annotated[str, typer.Option(help="What the runs are, in a sentence.")] = "",
) -> None:
    """Write all that others need to judge the runs.

    A folder of Parquet files has the sweeps, every run with its measurements, and the predictions:
    a submission to the leaderboard.

    Example: oodbench export runs --db mine.db -o mine --about "Lion on digits."
    """
    api.export_runs(db, output, about)
    size = sum(path.stat().st_size for path in output.iterdir())
    print(f"wrote {output} ({size / 2**20:.1f} MiB)")
