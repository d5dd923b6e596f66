"""query, plot."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import Checkpoint, Db, Sweep, Where
from oodbench.errors import UnknownNameError
from oodbench.verbs.plot import KINDS

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "csv", "json")
SHORT = ("run", "dataset", "test_environments", "algorithm", "optimizer", "status", "id", "ood")
SELECTED = (*SHORT[:5], "completed", "diverged", "failed", "id", "n_id", "ood", "n_ood")

TALK = {"all_reduces": "all-reduces", "communicated_bytes": "bytes"}
"""Columns of replicas, and how they are headed."""
SPENT = {
    "compute_seconds": "s computing",
    "communication_seconds": "s sending",
    "waiting_seconds": "s waiting",
}
"""Those that are known only where each replica had a process."""


def query(
    db: Db,
    where: Where = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select",
            help="Only the selected runs: id_val, worst_group_val, ood_val, "
            "leave_one_environment_out or oracle.",
        ),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option("--sql", help="A read-only SQL question (v_runs, v_pairs, v_best)."),
    ] = None,
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            help="Of the scores, where a dataset has others: worst_group_accuracy, nll, ...",
        ),
    ] = "accuracy",
    format_: Annotated[
        str,
        typer.Option("--format", help="table (short), csv or json (every column)."),
    ] = "table",
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Rows of a table at most; 0: all of them.")
    ] = 50,
) -> None:
    """Show runs with their ID and OOD accuracy.

    Example: oodbench query --db digits.db --where "optimizer = 'adam' and lr < 1e-3" --format csv
    """
    from oodbench import api
    from oodbench.cli.tables import show

    if format_ not in FORMATS:
        raise UnknownNameError("format", format_, FORMATS)
    frame = api.query(
        db, where, select=select, sql=sql, sweep=name, checkpoint=checkpoint, metric=metric
    )
    if format_ == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif format_ == "json":
        print(frame.to_json(orient="records", indent=1, double_precision=15))
    else:
        shown = frame.head(limit) if limit else frame
        show(shown if sql else short(shown))
        if len(shown) < len(frame):
            print(f"The first {len(shown):,} of {len(frame):,} rows; --limit 0 shows all of them.")
        if not sql:
            how = f", selected by {select} among the completed runs of each study" if select else ""
            how += " that match --where" if select and where else ""
            runs = "1 run" if len(frame) == 1 else f"{len(frame):,} runs"
            print(f"{runs} at checkpoint {checkpoint}{how}.")
            if select:
                tell_unselected(frame, select)
            print(f"id, ood: {metric} on n_id, n_ood test examples. --format csv has every column.")
            if frame["all_reduces"].notna().any():
                print("all-reduces, bytes, s: of each replica; seconds only with --processes.")


def tell_unselected(frame: "pd.DataFrame", rule: str) -> None:
    """Say on which datasets runs completed and yet the rule had nothing to choose by."""
    without = frame[frame["run"].isna() & (frame["completed"] > 0)]
    if len(without):
        datasets = ", ".join(without["dataset"].unique())
        print(
            f"note: no run on {datasets} has the score that {rule} reads, so none is selected; "
            "with --where for these alone, it is told which rules can."
        )


def short(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The columns that fit a terminal: what the run is, its scores, what was drawn."""
    names = list(SELECTED if "rule" in frame else SHORT)
    if "rule" not in frame:
        ended_badly = len(frame) and frame["status"].isin(["diverged", "failed"]).all()
        names += ["reason"] if ended_badly else [name for name in ("lr",) if name in frame]
    if frame["all_reduces"].notna().any():
        names += [*TALK, *(name for name in SPENT if frame[name].notna().any())]
    found = frame[names].assign(run=frame["run"].str[:8])  # enough to find it by
    return found.rename(columns={**TALK, **SPENT})


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
    """Add this file's commands."""
    app.command()(query)
    app.command(help=plot_help())(plot)
