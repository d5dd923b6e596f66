"""sweep: what a sweep file asks for is trained, here or by jobs elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import (
    Artifacts,
    Compile,
    Device,
    Gpus,
    OnRunEnd,
    OptionalDb,
    Processes,
    Root,
    SaveEvery,
    Set,
    SlotsPerGpu,
    Stack,
    StackMemory,
    Workers,
    exit_if_failed,
    use_root,
)
from oodbench.errors import RequestError

if TYPE_CHECKING:
    from oodbench.sweep import SweepSpec


def sweep(
    path: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="The sweep file.")],
    db: OptionalDb = None,
    executor: Annotated[
        str, typer.Option("--executor", help="Who starts the workers: local, slurm or ray.")
    ] = "local",
    workers: Workers = None,
    gpus: Gpus = None,
    slots_per_gpu: SlotsPerGpu = 1,
    device: Device = "auto",
    stack: Stack = None,
    stack_memory: StackMemory = None,
    root: Root = None,
    artifacts: Artifacts = None,
    save_every: SaveEvery = 300.0,
    logs: Annotated[
        Path | None,
        typer.Option("--logs", help="Folder of the workers' logs. [default: beside the database]"),
    ] = None,
    on_run_end: OnRunEnd = None,
    changes: Set = None,
    processes: Processes = False,
    compiled: Compile = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the workers' time went.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be trained; write nothing."),
    ] = False,
) -> None:
    """Train what a sweep file asks for and is not stored.

    Ctrl-C stops it; the same command goes on from there. Without --db, --dry-run needs no data.

    Example: oodbench sweep sweeps/digits.yaml --db digits.db --workers 2
    """
    from oodbench.cli.estimate import preview
    from oodbench.sweep import load_sweeps

    use_root(root)
    specs = load_sweeps(path, changes or ())
    if dry_run:
        preview(specs, db)
        return
    if db is None:
        raise RequestError("Say where results are kept: --db FILE or URL, or OODBENCH_DB.")
    failed: list[int] = []
    for spec in specs:
        if len(specs) > 1:
            print(f"{spec.name}:", flush=True)
        counts = train(
            spec,
            db,
            profile=profile,
            executor=executor,
            workers=workers,
            gpus=gpus.split(",") if gpus else (),
            slots_per_gpu=slots_per_gpu,
            device=device,
            stack=stack,
            stack_memory=stack_memory,
            artifacts=artifacts,
            save_every=save_every,
            logs=logs,
            processes=processes,
            compiled=compiled,
            on_run_end=on_run_end,
        )
        failed.append(counts.get("failed", 0))
    exit_if_failed({"failed": sum(failed)}, db)


def train(spec: "SweepSpec", db: str, *, profile: bool, **options: Any) -> dict[str, int]:
    """Train one sweep and show what came of it; returns its number of runs in each state.

    Args:
        spec: The sweep.
        db: The database.
        profile: Say where the workers' time went.
        options: Of ``oodbench.api.run_sweep``.
    """
    from oodbench import api
    from oodbench.cli.printing import seed_intervals, show, show_profile
    from oodbench.cli.progress import Progress
    from oodbench.results import open_database
    from oodbench.verbs.sweep import edge_warnings
    from oodbench.workers.executors.local import log_folder

    if options["executor"] == "local":
        warn_if_slow(spec, "cuda" if options["gpus"] else options["device"])
    shares: dict[str, float] = {}
    on_profile = shares.update if profile else None
    with Progress(options["logs"] or log_folder(db)) as progress:
        studies = api.run_sweep(spec, db, on_progress=progress, on_profile=on_profile, **options)
    if options["executor"] == "slurm":  # its workers may not have begun
        _show_jobs(db, spec.name)
        return {}
    show(studies.drop(columns=["study", "sweep", "waiting", "running"]))
    if spec.confirm:
        print("\nThe best by ID validation, trained again on fresh seeds: mean (95% over seeds)")
        show(seed_intervals(api.confirmed(db, spec.name)))
    if profile:
        show_profile(shares)
    with open_database(db, read_only=True) as database:
        for note in edge_warnings(database, spec.name):
            print(f"note: {note}")
    return progress.counts


def warn_if_slow(spec: "SweepSpec", device: str) -> None:
    """Say on stderr if bf16 saves no time here; the workers say it too, but in their logs."""
    if "bf16" in spec.precisions:
        from oodbench.training.precision import tell_if_slow
        from oodbench.workers.trainer import device_named

        tell_if_slow("bf16", device_named(device))


def _show_jobs(db: str, name: str) -> None:
    """Say which jobs there are now, and how one looks after them."""
    from oodbench import api
    from oodbench.cli.printing import show
    from oodbench.results import describe_target

    show(api.jobs(db, name))
    where = describe_target(db)
    print(f"watch: oodbench status --db {where} --watch; stop: oodbench cancel {name} --db {where}")
