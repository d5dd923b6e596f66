"""leaderboard make, check: optimizers on testbeds, and submissions to it."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Checkpoint, Device, Root, Seed, use_root

app = typer.Typer(no_args_is_help=True, help="Compare optimizers on many testbeds, on one page.")

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUNS...", help="Databases, archives of runs, or studies that are shipped."
    ),
]
Reference = Annotated[str, typer.Option(help="The optimizer that the others are compared with.")]


@app.command()
def make(
    runs: Runs,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page and its files.")
    ],
    reference: Reference = "momentum",
    rule: Annotated[
        str, typer.Option("--select", help="Rule that selects each optimizer's run.")
    ] = "id_val",
    budget: Annotated[int, typer.Option(help="Draws of which the rule selects one.")] = 8,
    files: Annotated[bool, typer.Option(help="Write a CSV file of each cell's runs.")] = True,
    title: Annotated[
        str, typer.Option(help="Title of the page.")
    ] = "Optimizers out of distribution",
    checkpoint: Checkpoint = "last",
    seed: Seed = 0,
) -> None:
    """Write a page that compares optimizers on every testbed of these runs.

    A cell is the expected OOD accuracy of an optimizer, its verdict against the reference, its rank
    where that is decided, and its cost.

    Example: oodbench leaderboard make digits pacs mine.db -o board
    """
    board = api.leaderboard(
        runs,
        output,
        reference=reference,
        rule=rule,
        budget=budget,
        checkpoint=checkpoint,
        files=files,
        title=title,
        seed=seed,
        on_step=partial(print, "oodbench:", file=sys.stderr, flush=True),
    )
    beds = board.cells[["testbed", "algorithm"]].drop_duplicates()
    print(f"wrote {output / 'index.html'}: {len(board.cells)} cells on {len(beds)} testbeds")
    for note in board.notes:
        print(f"no cell: {note}")


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `oodbench export runs` wrote.")
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(help="Runs of the leaderboard; repeatable. By default those shipped."),
    ] = None,
    retrain: Annotated[int, typer.Option(help="Runs to train again; 0: none.")] = 3,
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of these that is no problem.")
    ] = 0.05,
    seed: Seed = 0,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Check a submission: ids, search spaces, budget, scores.

    Trains some runs again. Nothing in the submission is executed. Exit code 1 if there is a
    problem.

    Example: oodbench leaderboard check mine
    """
    use_root(root)
    found = api.check_submission(
        file,
        against=against or (),
        retrain=retrain,
        tolerance=tolerance,
        seed=seed,
        device=device,
        on_step=partial(print, "oodbench:", file=sys.stderr, flush=True),
    )
    for text in found.problems:
        print(f"problem: {text}")
    for text in found.notes:
        print(f"note: {text}.")
    for one in found.reproduced:
        if one.exact or one.matches:
            same = "to the last bit" if one.exact else f"to {one.largest:.3g}"
            print(f"trained again: run {one.run}, the same {same}")
    number = len(found.problems)
    verdict = f"{number} problem{'s'[: number > 1]}" if number else "no problems"
    print(f"{file}: {found.runs:,} runs, {verdict}")
    raise typer.Exit(int(number > 0))
