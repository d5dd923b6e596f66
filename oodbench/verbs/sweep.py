"""Training what a sweep asks for and the database does not hold yet."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.data.cache import without_writing
from oodbench.errors import RequestError
from oodbench.machine import cores
from oodbench.results import (
    AddedSweep,
    Database,
    add_sweep,
    best_id_val,
    counts,
    is_empty,
    open_database,
    preview_sweep,
    sweep_specs,
)
from oodbench.sweep.plan import Plan, Sweep, plan
from oodbench.verbs.progress import Progress
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.executors.clusters import EXECUTORS, check_executor, launch
from oodbench.workers.executors.gpus import chosen_gpus
from oodbench.workers.executors.local import (
    Counts,
    log_folder,
    run_local,
    seconds_by_phase,
)
from oodbench.workers.executors.slots import make_slots
from oodbench.workers.hooks import absolute, load_hook
from oodbench.workers.lease import patiently
from oodbench.workers.proposing import extend
from oodbench.workers.worker_settings import WorkerSettings

if TYPE_CHECKING:
    import pandas as pd

FIRST = ("optimizer", "algorithm", "dataset", "test_environments")
LAST = ("completed", "diverged", "failed")
"""Columns that stand first and last: those that pandas shows of a wide table."""


def preview(sweep: Sweep, db: str | Path | None) -> AddedSweep:
    """What ``run_sweep`` would add, and what is stored already; writes nothing.

    Args:
        sweep: A sweep file.
        db: URL or path of the database; it need not hold anything, a file need not exist.
    """
    with without_writing():
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
    logs: str | Path | None = None,
    progress: bool = True,
    on_progress: Callable[[Counts], None] | None = None,
    on_profile: Callable[[dict[str, float]], None] | None = None,
    **settings: Any,
) -> "pd.DataFrame":
    """Train every trial of a sweep that the database does not hold yet.

    Called again after an interruption, it goes on from there.

    Args:
        sweep: A sweep file's path, what it says as a dictionary, or a checked sweep.
        db: URL of the database, or path of a SQLite file; created if missing.
        executor: ``local``: processes of this machine; ``slurm``: jobs are submitted, and this
            returns at once; ``ray``: actors, until the sweep is done. See docs/scaling.md.
        workers: Processes, on the visible GPUs in turn. By default ``slots_per_gpu`` on each GPU,
            where the device is ``auto`` or ``cuda`` and there are some; else one for each CPU core.
            On other machines as many as the sweep file says (``slurm: {workers: 16}``).
        gpus: Instead of ``workers``: GPUs, by their positions among the visible ones or as
            ``CUDA_VISIBLE_DEVICES`` names them (``["0", "1"]``); each process sees one alone.
        slots_per_gpu: See ``gpus``.
        logs: Folder of the workers' logs; by default beside a SQLite file, else ``oodbench-logs``.
        progress: Show a progress bar on a terminal or in a notebook that has ``ipywidgets``, and a
            line every ten seconds elsewhere: models that ended, the rate, the time left, and
            the highest ID validation accuracy so far.
        on_progress: In place of that: called a few times a second with the number of runs in each
            state.
        on_profile: If given, called at the end with the seconds that the workers spent in each
            phase; ``all`` is all their time.
        settings: Settings of the workers, each at its default if not given: ``device``, ``stack``,
            ``stack_memory``, ``lease``, ``artifacts``, ``save_every``, ``processes``,
            ``replica_timeout``, ``compiled``, ``cuda_graphs``, ``nondeterministic``,
            ``on_run_end``, ``profile``; see ``WorkerSettings``.

    Returns:
        A row per study: its runs by status, the columns of ``status`` in another order.

    Raises:
        SweepError: If the sweep file says something that does not hold.
        DatabaseError: If the database cannot be used.
        RequestError: If every worker ended before the sweep did.
        UnknownNameError: If there is no such setting or executor.
    """
    target = str(Path(db).absolute()) if "://" not in str(db) else str(db)
    chosen = WorkerSettings.named(settings)
    check_executor(executor, target, gpus)
    check_slots(workers, gpus, slots_per_gpu)
    if on_profile and executor != "local":
        raise RequestError(
            f"Only the executor local can report where the time went, not {executor}."
        )
    gpus = chosen_gpus(gpus, chosen.device) if executor == "local" else ()
    chosen = replace(
        portable(chosen, target, executor),
        device="cuda" if gpus else chosen.device,
        profile=chosen.profile or on_profile is not None,
    )
    folder = Path(logs) if logs is not None else log_folder(target)
    with ExitStack() as stack:
        shown = stack.enter_context(Progress(folder, shown=progress and on_progress is None))
        planned = plan(sweep)
        database = stack.enter_context(open_database(target, create=True))
        name = planned.spec.name
        shown.best = partial(patiently, partial(best_id_val, database, name))
        on_progress = on_progress or shown
        patiently(partial(add, database, planned, executor))
        planner = f"planner:{uuid.uuid4().hex}"
        patiently(partial(extend, database, planner, name, chosen.stack or 32))
        if executor == "local":
            number = workers or slots_per_gpu * len(gpus) or cores()
            slots = make_slots(folder, number, gpus)
            run_local(database, target, name, slots=slots, settings=chosen, on_progress=on_progress)
            if on_profile:
                on_profile(seconds_by_phase(slots))
        else:
            given = database, target, planned.spec, executor, chosen
            launch(*given, workers=workers, logs=folder, on_progress=on_progress)
        studies = counts(database, name)
    return studies[[*FIRST, *studies.columns.drop([*FIRST, *LAST]), *LAST]]


def check_slots(workers: int | None, gpus: Sequence[str], slots_per_gpu: int) -> None:
    """Refuse numbers of workers that mean nothing, or exclude each other."""
    for name, number in (("workers", workers), ("slots_per_gpu", slots_per_gpu)):
        if number is not None and number < 1:
            raise RequestError(f"{name} must be at least 1, but got {number}.")
    if gpus and workers is not None:
        raise RequestError("workers and gpus exclude each other: give slots_per_gpu with gpus.")


def portable(settings: WorkerSettings, target: str, executor: str) -> WorkerSettings:
    """The settings for other processes, which may work in another folder."""
    artifacts, hook = settings.artifacts, settings.on_run_end
    if executor != "local":  # jobs start in the same folder, but that may not be theirs for ever
        artifacts = artifacts or artifacts_folder(target)
    if hook is not None:
        load_hook(hook)  # a wrong name is refused before anything is trained
        hook = absolute(hook)
    return replace(settings, artifacts=artifacts and Path(artifacts).absolute(), on_run_end=hook)


def add(db: Database, planned: Plan, executor: str) -> None:
    """Store a sweep, and which executors it was ever for: so one knows where its jobs may be."""
    name = planned.spec.name
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    known = {item["name"]: item["spec"] for item in sweep_specs(db, counted=False)}.get(name, {})
    for place in EXECUTORS:
        if place != "local" and (place == executor or place in known):
            spec.setdefault(place, {})
    add_sweep(db, name, spec, planned.studies)
