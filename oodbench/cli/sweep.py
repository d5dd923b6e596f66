"""sweep: what a sweep file asks for is trained, here or by jobs elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.deciding import show_decisions
from oodbench.cli.estimate import preview
from oodbench.cli.next_steps import look_at
from oodbench.cli.options import (
    OptionalDb,
    Root,
    Set,
    Workers,
    exit_if_failed,
    takes_settings,
    use_root,
)
from oodbench.errors import RequestError
from oodbench.workers.worker_settings import WorkerSettings

if TYPE_CHECKING:
    from oodbench.sweep import SweepSpec

SHOWN = (
    *("dataset", "test_environments", "algorithm", "optimizer"),
    *("completed", "diverged", "failed", "total"),
)
"""Columns of what ``oodbench.run_sweep`` returns."""


@takes_settings
def sweep(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file.")],
    db: OptionalDb = None,
    *,
    executor: Annotated[
        str, typer.Option(help="Who starts the workers: local, slurm or ray.")
    ] = "local",
    workers: Workers = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            help="GPUs to use, such as 0,1; each worker sees one. [default: all visible ones]"
        ),
    ] = None,
    slots_per_gpu: Annotated[int, typer.Option(help="Workers on each GPU.")] = 1,
    settings: WorkerSettings,
    root: Root = None,
    logs: Annotated[
        Path | None,
        typer.Option(help="Folder of the workers' logs. [default: beside the database]"),
    ] = None,
    changes: Set = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be trained; write nothing.")
    ] = False,
) -> None:
    """Train what a sweep file asks for and is not stored.

    Ctrl-C stops it; the same command goes on from there. Without --db, --dry-run needs no data.

    Example: oodbench sweep sweeps/digits.yaml --db digits.db --workers 2
    """
    from oodbench.sweep import load_sweeps

    use_root(root)
    specs = load_sweeps(path, changes or ())
    if dry_run:
        preview(specs, db, settings.device)
        return
    if db is None:
        raise RequestError("Say where results are kept: --db FILE or URL, or OODBENCH_DB.")
    places: dict[str, Any] = {"executor": executor, "workers": workers, "logs": logs}
    places |= {"gpus": gpus.split(",") if gpus else (), "slots_per_gpu": slots_per_gpu}
    failed = 0
    for spec in specs:
        if len(specs) > 1:
            print(f"{spec.name}:", flush=True)
        failed += train(spec, db, settings, **places)
    if executor != "slurm":
        print(f"\n{look_at(db)}")
    exit_if_failed(failed, db)


def train(
    spec: "SweepSpec", db: str, settings: WorkerSettings, *, executor: str, **places: Any
) -> int:
    """Train one sweep and show what came of it; returns how many of its runs failed.

    The workers' ``places`` say how many there are, and where: see ``oodbench.run_sweep``.
    """
    from oodbench import analysis
    from oodbench.cli.printing import plain, seed_intervals, show, show_profile
    from oodbench.results import describe_target

    if executor == "local":
        warn_if_slow(spec, "cuda" if places["gpus"] else settings.device)
    shares: dict[str, float] = {}
    given = {**places, **vars(settings), "on_profile": shares.update if settings.profile else None}
    studies = api.run_sweep(spec, db, executor=executor, **given)
    if executor == "slurm":  # its workers may not have begun
        show(api.jobs(db, spec.name))
        where = describe_target(db)
        stop = f"oodbench cancel {spec.name} --db {where}"
        print(f"watch: oodbench status --db {where} --watch; stop: {stop}")
        return 0
    show(studies[list(SHOWN)])
    if spec.search.stop:
        show_decisions(api.decisions(db, spec.name))
    if spec.confirm:
        print("\nThe best by ID validation, trained again on fresh seeds: mean (95% over seeds)")
        show(seed_intervals(api.confirmed(db, spec.name)))
    if settings.profile:
        show_profile(shares)
    frame = api.query(db, sweep=spec.name)
    for note in analysis.edge_notes(analysis.search_health(frame)):
        print(plain(f"note: {note}"))
    return int((frame["status"] == "failed").sum())


def warn_if_slow(spec: "SweepSpec", device: str) -> None:
    """Report on stderr a precision that saves no time here; the workers' logs have it, too."""
    if precisions := {"bf16", "tf32"} & set(spec.precisions):
        from oodbench.training.precision import tell_if_slow
        from oodbench.workers.place import device_named

        for precision in sorted(precisions):
            tell_if_slow(precision, device_named(device))
