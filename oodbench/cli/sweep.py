"""quickstart, sweep, worker."""

import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import (
    Artifacts,
    Compile,
    Db,
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
    use_root,
)
from oodbench.errors import RequestError

if TYPE_CHECKING:
    from oodbench.sweep import SweepSpec


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path(
        "quickstart"
    ),
    workers: Workers = None,
) -> None:
    """Run a small study on real digits, with figures.

    It leaves a database, figures and summary.md, and goes on where it was interrupted.

    Example: oodbench quickstart --out quickstart
    """
    from oodbench import api
    from oodbench.cli.printing import show_results
    from oodbench.cli.progress import Progress

    with Progress() as progress:
        table = api.quickstart(out, workers=workers, on_progress=progress)
    show_results(table)
    print(f"\nIn {out}: results.db, summary.md, scatter-*.png, box-*.png")
    print(f"Ask it: oodbench query --db {out / 'results.db'} --select id_val")
    _exit_if_failed(progress.counts, out / "results.db")


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
    _exit_if_failed({"failed": sum(failed)}, db)


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
    for note in api.notes(db, studies["sweep"].iloc[0]):
        print(f"note: {note}")
    return progress.counts


def warn_if_slow(spec: "SweepSpec", device: str) -> None:
    """Say on stderr if bf16 saves no time here; the workers say it too, but in their logs."""
    if "bf16" in spec.precisions:
        from oodbench.training.precision import tell_if_slow
        from oodbench.workers.trainer import device_named

        tell_if_slow("bf16", device_named(device))


def preview(specs: "list[SweepSpec]", db: str | None) -> None:
    """Say what sweeps would train: beside a database, what is stored; else what they would take."""
    from oodbench import api
    from oodbench.cli.estimate import show_outlook
    from oodbench.sweep.estimate import on_replicas

    if db is None:
        show_outlook(specs)
    else:
        for spec in specs:
            added = api.preview(spec, db)
            waiting = added.known_runs - added.stored_runs
            print(
                f"{spec.name}: "
                * (len(specs) > 1)
                + f"{added.studies} studies, {added.runs} trials: "
                f"{added.stored_runs} stored, {waiting} waiting or running, {added.new_runs} new; "
                f"{added.new_runs + waiting} models to train"
                + (f", and {added.later_runs} as results come in." if added.later_runs else ".")
            )
    for spec in specs:
        if replicas := on_replicas(spec):
            counted = ", ".join(f"{n:,} models on {k}" for k, n in replicas.items())
            print(
                f"{spec.name}: {counted} replicas: one device simulates all of a run's; with "
                "--processes each takes a process and a core, with torchrun a device."
            )
        if "bf16" in spec.precisions:
            print(
                f"{spec.name}: precision {', '.join(spec.precisions)}; in bf16 the models' forward "
                "pass is in bfloat16, all else in float32."
            )


def _show_jobs(db: str, name: str) -> None:
    """Say which jobs there are now, and how one looks after them."""
    from oodbench import api
    from oodbench.cli.printing import show
    from oodbench.results import describe_target

    show(api.jobs(db, name))
    where = describe_target(db)
    print(f"watch: oodbench status --db {where} --watch; stop: oodbench cancel {name} --db {where}")


def worker(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep, or its file.")],
    db: Db,
    device: Device = "auto",
    stack: Stack = None,
    stack_memory: StackMemory = None,
    lease: Annotated[
        float, typer.Option("--lease", help="Seconds for which a silent worker keeps its trials.")
    ] = 60.0,
    root: Root = None,
    artifacts: Artifacts = None,
    save_every: SaveEvery = 300.0,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="i/N",
            help="Without a shared database: make --db with part i (0 to N - 1) of the sweep file.",
        ),
    ] = None,
    changes: Set = None,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
    owner: Annotated[str | None, typer.Option("--owner", hidden=True)] = None,
    peers: Annotated[
        int,
        typer.Option("--peers", help="Workers that share the sweep: its last trials are divided."),
    ] = 1,
    on_run_end: OnRunEnd = None,
    processes: Processes = False,
    compiled: Compile = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say at the end where the time went.")
    ] = False,
) -> None:
    """Train trials of a stored sweep until none is left.

    One pull worker, for any scheduler. SIGTERM or Ctrl-C gives back what it holds.

    Example: oodbench worker digits --db digits.db
    """
    use_root(root)
    from oodbench.training.replicas import torchrun
    from oodbench.training.replicas.local import leave
    from oodbench.workers.worker import work

    rank = torchrun.rank() if processes else None
    stop = _StopSignal(parent, torchrun.GRACE if rank == 0 else 0.0)
    follows = bool(rank)  # it only trains with torchrun's first process
    names = _sweep_names(name, db, shard, changes or (), prepare=not follows)

    for one in names:
        work(
            db,
            one,
            device=device,
            stack=stack,
            stack_memory=stack_memory,
            lease=lease,
            owner=owner,
            peers=peers,
            profile=profile,
            processes=processes,
            compiled=compiled,
            on_run_end=on_run_end,
            artifacts=artifacts,
            save_every=save_every,
            should_stop=stop,
        )
    if rank is not None:
        leave()


def _sweep_names(
    name: str, db: str, shard: str | None, changes: Sequence[str], prepare: bool
) -> list[str]:
    """The sweep that is named, or those of the file that is.

    With ``prepare`` the shard of each that is asked for is put into ``db``.
    """
    if changes and shard is None:
        raise RequestError(
            "--set changes what --shard draws; without it the trials are in the database already. "
            "Give --set to `oodbench sweep`."
        )
    if not name.endswith((".yaml", ".yml")):
        if shard is not None:
            raise RequestError(f"--shard needs the sweep's file, to draw its trials; got {name!r}.")
        return [name]
    from oodbench.sweep import load_sweeps

    specs = load_sweeps(name, changes)
    if shard is None or not prepare:
        return [spec.name for spec in specs]
    from oodbench.api import prepare_shard

    return [prepare_shard(spec, db, shard) for spec in specs]


class _StopSignal:
    """Whether the worker was told to stop, or has lost the process that started it.

    Args:
        parent: Number of that process; None if the worker is to outlive it.
        grace: Seconds from a signal until it counts.
    """

    def __init__(self, parent: int | None, grace: float = 0.0) -> None:
        self._parent, self._grace, self._told = parent, grace, math.inf
        # Schedulers warn with SIGUSR1 or SIGUSR2 before a job's time is over.
        for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"):
            if hasattr(signal, name):  # Windows lacks two
                signal.signal(getattr(signal, name), self._tell)

    def _tell(self, number: int, frame: Any) -> None:
        self._told = min(self._told, time.monotonic() + self._grace)

    def __call__(self) -> bool:
        orphaned = self._parent is not None and os.getppid() != self._parent
        return orphaned or time.monotonic() >= self._told


def _exit_if_failed(counts: dict[str, int], db: str | Path) -> None:
    if counts.get("failed"):
        from oodbench.results import describe_target

        print(
            f"oodbench: {counts['failed']} runs failed; see why: "
            f"oodbench query --db {describe_target(db)} --where \"status = 'failed'\"",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (quickstart, sweep, worker):
        app.command()(command)
