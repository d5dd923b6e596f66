"""query: runs with their ID and OOD accuracy."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Checkpoint, Db, EscapeFormulas, Sweep, Where
from oodbench.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "csv", "json")
SHORT = ("run", "dataset", "test_environments", "algorithm", "optimizer", "status", "id", "ood")
SELECTED = (*SHORT[:5], "id", "ood", "completed", "diverged", "failed", "n_id", "n_ood")

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
            help="Only the selected runs: id_val, worst_group_val, ood_val, "
            "leave_one_environment_out or oracle."
        ),
    ] = None,
    sql: Annotated[
        str | None, typer.Option(help="A read-only SQL question (v_runs, v_pairs, v_best).")
    ] = None,
    name: Sweep = None,
    checkpoint: Checkpoint = "last",
    metric: Annotated[
        str,
        typer.Option(
            help="Metric of the scores, where a dataset has others: worst_group_accuracy, nll, ..."
        ),
    ] = "accuracy",
    format_: Annotated[
        str, typer.Option("--format", help="table (short), csv or json (every column).")
    ] = "table",
    limit: Annotated[
        int, typer.Option(min=0, help="Rows of a table at most; 0: all of them.")
    ] = 50,
    escape_formulas: EscapeFormulas = True,
) -> None:
    """Show runs with their ID and OOD accuracy.

    Example: oodbench query --db digits.db --where "optimizer = 'adam' and lr < 1e-3" --format csv
    """
    if format_ not in FORMATS:
        raise UnknownNameError("format", format_, FORMATS)
    total = None
    if limit and format_ == "table" and select is sql is None and metric == "accuracy":
        from oodbench.verbs.query import first_runs

        frame, total = first_runs(db, where, limit=limit, sweep=name, checkpoint=checkpoint)
    else:
        frame = api.query(
            db, where, select=select, sql=sql, sweep=name, checkpoint=checkpoint, metric=metric
        )
    if format_ == "csv":
        from oodbench.results.spreadsheets import write_csv

        write_csv(frame, sys.stdout, escape_formulas)
    elif format_ == "json":
        print(frame.to_json(orient="records", indent=1, double_precision=15))
    elif sql:
        show_first(frame, limit, len(frame))
    else:
        total = len(frame) if total is None else total
        show_first(short(frame), limit, total)
        runs = "1 run" if total == 1 else f"{total:,} runs"
        matching = " that match --where" if where else ""
        how = f", selected by {select} among the completed runs of each study{matching}"
        print(f"{runs} at checkpoint {checkpoint}{how if select else ''}.")
        if select:
            tell_unselected(frame, select)
            if select == "id_val" and checkpoint == "last":
                tell_domainbed(frame)
        print(f"id, ood: {metric} on n_id, n_ood test examples. --format csv has every column.")
        tell_targets(frame)
        if frame["all_reduces"].notna().any():
            print("all-reduces, bytes, s: of each replica; seconds only with --processes.")


def show_first(frame: "pd.DataFrame", limit: int, total: int) -> None:
    """Print the first ``limit`` of ``total`` rows, or all of them if it is 0."""
    from oodbench.cli.printing import show

    shown = frame.head(limit) if limit else frame
    show(shown)
    if len(shown) < total:
        print(f"The first {len(shown):,} of {total:,} rows; --limit 0 shows all of them.")


def tell_unselected(frame: "pd.DataFrame", rule: str) -> None:
    """Say on which datasets runs completed and yet the rule had nothing to choose by."""
    from oodbench.cli.printing import plain

    without = frame[frame["run"].isna() & (frame["completed"] > 0)]
    if len(without):
        datasets = plain(", ".join(without["dataset"].unique()))
        print(
            f"note: no run on {datasets} has the score that {rule} reads, so none is selected; "
            "with --where for these alone, the error lists the rules that can."
        )


def tell_domainbed(frame: "pd.DataFrame") -> None:
    """Say how DomainBed's own rule differs, where its runs were selected."""
    if (frame["protocol"] == "imported:domainbed").any():
        print(
            "note: DomainBed's own rule chooses the checkpoint too, in each trial: --checkpoint "
            'best_id_val --where "data_seed = 0".'
        )


def scored_targets(frame: "pd.DataFrame") -> list[str]:
    """The names of the columns ``ood[NAME]``."""
    from oodbench.results.targets import are_of_targets

    return [name for name in are_of_targets(frame.columns) if name.startswith("ood")]


def tell_targets(frame: "pd.DataFrame") -> None:
    """Say how to see the scores on more targets than fit a terminal."""
    from oodbench.cli.printing import plain
    from oodbench.results.targets import FEW

    targets = scored_targets(frame)
    if len(targets) > FEW:
        print(
            plain(
                f"Each of {len(targets)} targets has a column, such as {targets[0]}: --format csv "
                "has them all."
            )
        )


def short(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The columns that fit a terminal: what the run is, its scores, what was drawn."""
    from oodbench.results.targets import FEW

    names = list(SELECTED if "rule" in frame else SHORT)
    if "rule" not in frame:
        ended_badly = len(frame) and frame["status"].isin(["diverged", "failed"]).all()
        mixed = {"status"} if frame["status"].nunique() > 1 else set()
        names = [*SHORT[:5], *mixed, "reason"] if ended_badly else [*names, *({"lr"} & {*frame})]
    targets = scored_targets(frame)
    if targets and frame["ood"].isna().all():
        names = [name for name in names if name not in ("ood", "n_ood")]
    names += targets if len(targets) <= FEW else []
    if frame["all_reduces"].notna().any():
        names += [*TALK, *(name for name in SPENT if frame[name].notna().any())]
    found = frame[names].assign(run=frame["run"].str[:8])  # enough to find it by
    return found.rename(columns={**TALK, **SPENT})
