"""db check, db compact, db copy, db merge, db upgrade."""

from collections.abc import Mapping
from typing import Annotated

import typer

from oodbench.cli.options import Db

app = typer.Typer(
    help="Check, upgrade, merge, copy or compact a results database.\n\n"
    "Example: oodbench db check --db digits.db",
    no_args_is_help=True,
)


@app.command()
def upgrade(db: Db) -> None:
    """Bring a database made by an older oodbench to the current schema.

    Example: oodbench db upgrade --db digits.db
    """
    from oodbench.results import describe_target, upgrade_database

    old, new = upgrade_database(db)
    said = f"schema {old} is current" if old == new else f"schema {old} -> {new}"
    print(f"{describe_target(db)}: {said}")


@app.command()
def check(db: Db) -> None:
    """Check that a database is whole and consistent; change nothing.

    Exit code 1, and a line for each problem, if it is not.

    Example: oodbench db check --db digits.db
    """
    from oodbench.results import check_database

    found = check_database(db)
    print(f"{found.url}: schema {found.revision}")
    if found.rows:
        print(_counted(found.rows))
        print("runs: " + _counted(found.states))
        print("checked: the file, the views, references, each run's state and content, trials")
    for problem in found.problems:
        print(f"problem: {problem}")
    if found.problems:
        raise typer.Exit(1)
    print("no problems")


@app.command()
def compact(
    db: Db,
    drop_curves: Annotated[
        bool,
        typer.Option(
            "--drop-curves",
            help="Remove measurements between the checkpoints last and best_id_val: all scores "
            "stay, learning curves do not.",
        ),
    ] = False,
) -> None:
    """Make a database smaller.

    It gives free space back, and stores older runs in the current form.

    Example: oodbench db compact --db digits.db --drop-curves
    """
    from oodbench.results import compact_database

    done = compact_database(db, drop_curves=drop_curves)
    print(f"{done.url}: {done.rewritten:,} runs rewritten, {done.dropped:,} measurements removed")
    if done.before is not None and done.after is not None:
        print(f"{done.before / 1e6:.1f} MB -> {done.after / 1e6:.1f} MB")


@app.command()
def copy(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A SQLite file or a URL.", show_default=False)
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help="A new SQLite file or an empty database.",
            show_default=False,
        ),
    ],
) -> None:
    """Copy a database, from SQLite to PostgreSQL or back.

    The copy is complete, or none is made.

    Example: oodbench db copy digits.db postgresql+psycopg://me@host/digits
    """
    from oodbench.results import copy_database

    copied = copy_database(source, destination)
    print(f"{copied.source} -> {copied.destination}: {_counted(copied.rows)}")
    if copied.released:
        print(
            f"{copied.released} runs were being trained; they wait in the copy, where they will be "
            "trained again"
        )


@app.command()
def merge(
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help="A SQLite file or a URL; made if missing.",
            show_default=False,
        ),
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="SQLite files or URLs; only read.", show_default=False
        ),
    ],
    keep_first: Annotated[
        bool, typer.Option("--keep-first", help="Where results differ, keep those merged first.")
    ] = False,
) -> None:
    """Merge databases, such as the shards of a sweep.

    Merging again changes nothing. Exit code 1 if a source was damaged, missing or in conflict, or
    if trials of a sharded sweep are in none so far.

    Example: oodbench db merge digits.db shards/*.db
    """
    from oodbench.results import merge_databases

    merged = merge_databases(destination, sources, keep_first=keep_first)
    for one in merged.sources:
        if one.problem:
            print(f"{one.source}: NOT MERGED: {one.problem}")
            continue
        kept = f", {one.kept} of them differ and were kept as they are" if one.kept else ""
        print(
            f"{one.source}: {one.new} new runs, {one.results} new results, "
            f"{one.known} known already{kept}"
        )
    if merged.lacking:
        trials = sum(one.trials for one in merged.lacking)
        numbers = sorted({(one.of, number) for one in merged.lacking for number in one.shards})
        shards = ", ".join(f"{number}/{of}" for of, number in numbers)
        print(f"{trials} trials are in none so far; shards: {shards}")
    if merged.lacking or any(one.problem for one in merged.sources):
        raise typer.Exit(1)


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in rows.items())
