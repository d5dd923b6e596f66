"""Training what a sweep asks for and the database does not hold yet."""

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.results import (
    AddedSweep,
    Database,
    add_sweep,
    counts,
    is_empty,
    open_database,
    pairs,
    preview_sweep,
    searched,
    sweep_specs,
)
from oodbench.results.select import select
from oodbench.sweep.plan import Sweep, plan
from oodbench.sweep.search import EDGE, at_edge
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.executors.clusters import EXECUTORS, check_executor, launch
from oodbench.workers.executors.local import (
    Counts,
    cores,
    log_folder,
    make_slots,
    run_local,
    seconds_by_phase,
)
from oodbench.workers.hooks import absolute, load_hook
from oodbench.workers.proposing import extend

if TYPE_CHECKING:
    import pandas as pd


def preview(sweep: Sweep, db: str | Path | None) -> AddedSweep:
    """What ``run_sweep`` would add, and what is stored already; writes nothing.

    Args:
        sweep: A sweep file.
        db: URL or path of the database; it need not hold anything, a file need not exist.
    """
    planned = plan(sweep)
    if db is None or is_empty(db):
        return preview_sweep(None, planned.studies)
    with open_database(db, read_only=True) as database:
        return preview_sweep(database, planned.studies)


def run_sweep(
    sweep: Sweep,
    db: str | Path,
    *,
    executor: str = "local",
    workers: int | None = None,
    gpus: Sequence[str] = (),
    slots_per_gpu: int = 1,
    device: str = "auto",
    stack: int | None = None,
    stack_memory: float | None = None,
    logs: str | Path | None = None,
    artifacts: str | Path | None = None,
    save_every: float = 300.0,
    processes: bool = False,
    compiled: bool = False,
    on_run_end: str | None = None,
    on_progress: Callable[[Counts], None] = lambda counts: None,
    on_profile: Callable[[dict[str, float]], None] | None = None,
) -> "pd.DataFrame":
    """Train every trial of a sweep that the database does not hold yet.

    Called again after an interruption, it goes on from there.

    Args:
        sweep: A sweep file's path, what it says as a dictionary, or a checked sweep.
        db: URL of the database, or path of a SQLite file; created if missing.
        executor: ``local``: processes of this machine; ``slurm``: jobs are submitted, and this
            returns at once; ``ray``: actors, until the sweep is done. See docs/scaling.md.
        workers: Processes; one for each CPU core by default, on other machines as many as the sweep
            file says (``slurm: {workers: 16}``).
        gpus: Instead of ``workers``: GPUs as ``CUDA_VISIBLE_DEVICES`` names them (``["0", "1"]``),
            ``slots_per_gpu`` processes on each, which see that one alone.
        slots_per_gpu: See ``gpus``.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ...
        stack: Most models trained together by one worker; by default what a short measurement, made
            once for each kind of model on this machine, finds fastest.
        stack_memory: GiB that such a stack may need.
        logs: Folder of the workers' logs; by default beside a SQLite file, else ``oodbench-logs``.
        artifacts: Folder of checkpoints and weights; by default beside a SQLite file
            (``digits.artifacts``), else ``oodbench-artifacts``.
        save_every: Seconds from one checkpoint of a run that is trained alone to the next.
        processes: Give each replica of a trial a process of its own; else they are simulated. See
            docs/parallel.md.
        compiled: Compile the training step, with CUDA graphs on a GPU: see docs/performance.md.
        on_run_end: A function to call after each run is stored, in the worker that trained it:
            ``module:function`` or ``file.py:function``; see ``oodbench.workers.hooks``.
        on_progress: Called a few times a second with the number of runs in each state.
        on_profile: If given, called at the end with the seconds that the workers spent in each
            phase; ``all`` is all their time.

    Returns:
        A row per study: its runs by status. See ``status``.

    Raises:
        SweepError: If the sweep file says something that does not hold.
        DatabaseError: If the database cannot be used.
        RequestError: If every worker ended before the sweep did.
    """
    for name, number in (("workers", workers), ("slots_per_gpu", slots_per_gpu), ("stack", stack)):
        if number is not None and number < 1:
            raise RequestError(f"{name} must be at least 1, but got {number}.")
    if gpus and workers is not None:
        raise RequestError("workers and gpus exclude each other: give slots_per_gpu with gpus.")
    if not save_every >= 0:
        raise RequestError(f"save_every must be at least 0 seconds, but got {save_every}.")
    given: dict[str, object] = {
        "device": "cuda" if gpus else device,
        "stack": stack,
        "stack-memory": stack_memory,
        "save-every": save_every,
        "artifacts": artifacts and Path(artifacts).absolute(),
    }
    target = str(Path(db).absolute()) if "://" not in str(db) else str(db)
    check_executor(executor, target, gpus)
    if on_profile and executor != "local":
        raise RequestError(f"Only the executor local can tell where the time went, not {executor}.")
    if executor != "local":  # jobs start in the same folder, but that may not be theirs for ever
        given["artifacts"] = Path(artifacts or artifacts_folder(target)).absolute()
    if on_run_end is not None:
        load_hook(on_run_end)  # a wrong name is told before anything is trained
        given["on-run-end"] = absolute(on_run_end)
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    options += ["--profile"] * bool(on_profile) + ["--processes"] * processes
    options += ["--compile"] * compiled
    planned = plan(sweep)
    folder = Path(logs) if logs is not None else log_folder(target)
    with open_database(target, create=True) as database:
        name = planned.spec.name
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        for place in (executor, *_places(database, name)):
            if place != "local":
                spec.setdefault(place, {})  # so that one knows where its jobs may be
        add_sweep(database, name, spec, planned.studies)
        extend(database, f"planner:{uuid.uuid4().hex}", name, stack or 32)
        if executor == "local":
            slots = make_slots(folder, slots_per_gpu if gpus else workers or cores(), gpus)
            run_local(database, target, name, slots=slots, options=options, on_progress=on_progress)
            if on_profile:
                on_profile(seconds_by_phase(slots))
        else:
            where: dict[str, Any] = {"workers": workers, "options": options, "logs": folder}
            launch(database, target, planned.spec, executor, **where, on_progress=on_progress)
        return counts(database, name)


def _places(db: Database, sweep: str) -> list[str]:
    """The executors that a stored sweep was ever for."""
    known = {item["name"]: item["spec"] for item in sweep_specs(db)}
    return [place for place in EXECUTORS if place in known.get(sweep, {})]


def edge_warnings(db: Database, sweep: str) -> list[str]:
    """One sentence for each study whose selected run has a value at the edge of its search range.

    Of values drawn at random one in ten lies there by chance.
    """
    runs = pairs(db, sweep=sweep)
    if runs["id_val"].isna().all():  # a dataset without ID validation examples: none is selected
        return []
    best = select(runs).dropna(subset=["run"])
    spaces = searched(db, sweep, best["run"].tolist())
    warnings = []
    for row in best.to_dict("records"):
        values = {str(name): value for name, value in row.items()}
        edges = at_edge(spaces[values["run"]], values)
        if edges:
            tested = row["test_environments"]
            place = f"{row['dataset']}{f' (test environments {tested})' if tested else ''}"
            warnings.append(
                f"{place}, {row['algorithm']}, {row['optimizer']}: the selected run has "
                f"{', '.join(edges)}, in the outer {EDGE:.0%} of the search range; a better value "
                "may lie beyond."
            )
    return warnings
