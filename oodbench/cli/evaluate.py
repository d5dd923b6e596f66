"""evaluate: a run's kept weights, scored again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Artifacts, Db, Device, Root, Run, indices, use_root

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    run: Run,
    db: Db,
    dataset: Annotated[str | None, typer.Option(help="Another dataset than the run's own.")] = None,
    environments: Annotated[str | None, typer.Option(help="Only these, such as 0,2.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="last or best_id_val. [default: the one kept, or last]")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A file that `reproduce --weights` wrote.")
    ] = None,
    artifacts: Artifacts = None,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Score a run's kept weights on every split of a dataset.

    Exit code 1 if training measured something else at that step.

    Example: oodbench evaluate 3f2a91 --db digits.db --environments 0,2
    """
    use_root(root)
    frame = api.evaluate(
        db,
        run,
        dataset=dataset,
        environments=indices("--environments", environments),
        checkpoint=checkpoint,
        weights=weights,
        artifacts=artifacts,
        device=device,
    )
    show(frame)


def show(frame: "pd.DataFrame") -> None:
    """Print the accuracies; with exit code 1 if training measured something else."""
    from oodbench.cli.printing import show as show_table

    columns = ["environment", "split", "role", "accuracy", "n"]
    show_table(frame[columns].assign(accuracy=frame["accuracy"].map("{:.4f}".format)))
    known = frame[frame["stored"].notna()]
    off = known[known["stored"] != known["accuracy"]]
    print(f"run {frame['run'][0]} at step {frame['step'][0]}")
    if len(known):
        largest = (known["stored"] - known["accuracy"]).abs().max()
        said = f"{len(off)} of them differ, by up to {largest:.3g}" if len(off) else "all are equal"
        print(f"training measured {len(known)} of these accuracies: {said}")
    if len(off):
        raise typer.Exit(1)
