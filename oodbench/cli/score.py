"""score: what a dataset's authors report of a classifier."""

from pathlib import Path
from typing import Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Artifacts, Device, Root, use_root

SHOWN = ["score", "value", "n"]


def score(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Name of the dataset.", show_default=False)
    ],
    model: Annotated[
        str | None, typer.Option(help="A backbone with its published ImageNet weights.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --model: a state dict in place of the published one.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Instead: a run that kept its weights; with --db.")
    ] = None,
    db: Annotated[
        str | None, typer.Option(envvar="OODBENCH_DB", help="The run's database.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="With --model: size of the images. [default: the dataset's]")
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also the scores that take long: the challenge score.")
    ] = False,
    artifacts: Artifacts = None,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Score a classifier as a dataset's authors do, such as BG-gap.

    Example: oodbench score BackgroundsChallenge --model resnet50 --root data
    """
    from oodbench.cli.printing import show

    use_root(root)
    scored: dict[str, Any] = {"model": model, "weights": weights, "size": size}
    scored |= {"run": run, "db": db, "artifacts": artifacts} if run is not None else {}
    frame = api.score(dataset, slow=slow, device=device, **scored)
    show(frame[SHOWN].assign(value=frame["value"].map("{:.4f}".format)))
    name = f"run {frame['model'][0]}" if run is not None else frame["model"][0]
    gap = ", bg_gap a difference of two" if "bg_gap" in set(frame["score"]) else ""
    print(f"{dataset}, {name}; value: a fraction of n test images{gap}.")
