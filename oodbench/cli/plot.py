"""plot."""

from pathlib import Path
from typing import Annotated, Any

import typer

from oodbench.cli.options import Checkpoint, Db, Sweep, Where
from oodbench.verbs.plot import KINDS


def plot(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}."),
    ],
    db: Db,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png, .pdf or .svg file.")],
    where: Where = None,
    name: Sweep = None,
    palette: Annotated[
        str, typer.Option("--palette", help="default (colour-blind safe) or study.")
    ] = "default",
    checkpoint: Checkpoint = "last",
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="box, violin, probed: which runs, by ID validation accuracy: all, above (a "
            "threshold) or top (of each optimizer).  [default: all]",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="With --keep above.  [default: chance accuracy]"),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", help="With --keep top: how many.  [default: 10]")
    ] = None,
    bins: Annotated[
        int | None, typer.Option("--bins", help="binned: bins of ID accuracy.  [default: 10]")
    ] = None,
    hyperparameter: Annotated[
        str | None, typer.Option("--hyperparameter", help="slices: its name.  [default: lr]")
    ] = None,
    measurement: Annotated[
        str | None,
        typer.Option("--measurement", help="probed: such as sharpness_trace, all_reduces."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            help="paths: to which end point: own, seed or a run, by its id.  [default: own]",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="paths: of gradients over the whole training set.")
    ] = False,
    rule: Annotated[
        str | None,
        typer.Option("--select", help="budget, heatmap: the selection rule.  [default: id_val]"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            help="budget, heatmap: of budgets: trials or gradient_evaluations.  [default: trials]",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", help="heatmap: of each optimizer.  [default: an eighth of the least]"
        ),
    ] = None,
    score: Annotated[
        str | None, typer.Option("--score", help="heatmap: ood or id.  [default: ood]")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", help="heatmap: compare with this one.  [default: mean of the others]"
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help="scatter, box, violin: of the scores, such as worst_group_accuracy.  [default: "
            "accuracy]",
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", help="learning: only this run, by its id; repeatable."),
    ] = None,
) -> None:
    """Draw a figure of the runs; its help is ``plot_help``."""
    from oodbench import api

    own: dict[str, Any] = {"keep": keep, "threshold": threshold, "top": top, "bins": bins}
    own |= {"hyperparameter": hyperparameter, "runs": run or None, "measurement": measurement}
    own |= {"end": end, "full": full or None, "metric": metric}
    own |= {"rule": rule, "unit": unit, "budget": budget, "score": score, "baseline": baseline}
    given = {option: value for option, value in own.items() if value is not None}
    look = {"sweep": name, "palette": palette, "checkpoint": checkpoint}
    print(f"wrote {api.plot(kind, db, output, where, **{**look, **given})}")


def plot_help() -> str:
    """The help of ``plot``, with its kinds."""
    kinds = "\n".join(f"{name:<9} {kind.about}" for name, kind in KINDS.items())
    return (
        "Draw a figure of the runs, by optimizer, with how many there are and what became of them."
        f"\n\n\b\n{kinds}\n\n"
        "Example: oodbench plot scatter --db digits.db -o scatter.png --where \"algorithm = 'erm'\""
    )


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(help=plot_help())(plot)
