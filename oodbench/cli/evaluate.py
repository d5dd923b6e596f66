"""evaluate: a run's kept weights, scored again."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench.cli.options import Artifacts, Db, Device, Root, Run, use_root
from oodbench.errors import RequestError


def evaluate(
    run: Run,
    db: Db,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Another dataset than the run's own.")
    ] = None,
    environments: Annotated[
        str | None, typer.Option("--environments", help="Only these, such as 0,2.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="last or best_id_val. [default: the one kept, or last]"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A file that `reproduce --weights` wrote.")
    ] = None,
    artifacts: Artifacts = None,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Score the kept weights of a run on every split of its dataset, or of another.

    Exit code 1 if training measured something else at that step.

    Example: oodbench evaluate 3f2a91 --db digits.db --environments 0,2
    """
    from oodbench import api
    from oodbench.cli.printing import show as show_table

    use_root(root)
    frame = api.evaluate(
        db,
        run,
        dataset=dataset,
        environments=indices(environments),
        checkpoint=checkpoint,
        weights=weights,
        artifacts=artifacts,
        device=device,
    )
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


def indices(text: str | None) -> list[int] | None:
    """``0,2`` as numbers."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise RequestError(
            f"--environments needs numbers such as 0,2, but got {text!r}."
        ) from error
