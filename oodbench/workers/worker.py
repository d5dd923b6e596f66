"""The pull loop: take trials, train them, store them, until the sweep is done.

It is the same process everywhere: started by hand, by ``oodbench sweep``, by a scheduler.
"""

import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from oodbench.errors import DatabaseError, LostLeaseError, RequestError, StopTrainingError
from oodbench.records import RunRecord
from oodbench.results import (
    Claim,
    Database,
    claim,
    excuse,
    is_done,
    open_database,
    release,
    store_runs,
    weights_to_keep,
)
from oodbench.training import EVERY, Clock, Saving, clock_of
from oodbench.training.fast.compiling import check_compiler
from oodbench.training.fast.stepping import spare_dynamo
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.hooks import call_hook, load_hook
from oodbench.workers.lease import Lease, patiently
from oodbench.workers.proposing import extend
from oodbench.workers.trainer import Trainer, find_device, placed

LEASE = 60.0
"""Seconds for which a silent worker keeps its trials."""
COMPILING = 600.0
"""Likewise where a step is compiled: none is taken until that is done."""
IDLE = 0.5
"""Seconds between looks at the queue while others hold the last trials."""
QUEUE, STORING, WAITING = "queue and search", "storing", "waiting for others"
"""What a worker's clock counts beside the phases of training."""
ALL = "all"
PROFILE = "seconds by phase:"
"""What stands before the JSON in its log, after its name."""


@dataclass(frozen=True)
class Work:
    """What a worker did: how many runs it stored, and how many were refused as too late."""

    stored: int
    refused: int


def work(
    target: str | Path,
    sweep: str | None = None,
    *,
    device: str = "auto",
    stack: int | None = None,
    stack_memory: float | None = None,
    lease: float = LEASE,
    owner: str | None = None,
    peers: int = 1,
    artifacts: str | Path | None = None,
    save_every: float = EVERY,
    profile: bool = False,
    processes: bool = False,
    compiled: bool = False,
    on_run_end: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Work:
    """Train trials of the sweep until none is left or ``should_stop`` says so.

    Args:
        target: URL or path of the database.
        sweep: Name of the sweep; any trial that waits in the database if None.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
        stack: Most models trained together; by default what a short measurement finds fastest.
        stack_memory: GiB that a measured stack may need; by default ``sizing.memory_bound``.
        lease: Seconds for which a silent worker keeps its trials.
        owner: A name that no other worker has; made up by default.
        peers: How many workers share the sweep: the last trials are divided among them.
        artifacts: Folder of checkpoints and weights; see ``artifacts_folder`` for the default.
            Workers on several machines need one that they share.
        save_every: Seconds from one checkpoint of a run that is trained alone to the next.
        profile: Say at the end where the time went; on a GPU, wait for it after every phase.
        processes: Give each replica of a trial a process of its own: see docs/parallel.md. Under
            torchrun these are its processes, and those but the first only train with it.
        compiled: Compile the training step, as far as torch can: see docs/performance.md.
        on_run_end: Name of a function to call after each run is stored: see ``workers.hooks``.
        should_stop: Asked after every step.

    Raises:
        DatabaseError: If the database cannot be used.
        RequestError: If the data on this machine are not those of the sweep, or the device, the
            stack, the lease or the hook cannot be used, or nothing can be compiled here.
        ArtifactError: If weights that are to be kept cannot be written.
    """
    check_numbers(stack, stack_memory, lease, save_every)
    hook = None if on_run_end is None else load_hook(on_run_end)
    folder = artifacts_folder(target) if artifacts is None else Path(artifacts)
    saving = Saving(folder, save_every)
    place = placed(find_device(device), processes, should_stop)
    if place is None:
        return Work(0, 0)
    where, should_stop = place.device, place.should_stop
    if compiled:
        check_compiler(where)
        lease = max(lease, COMPILING)
    else:
        spare_dynamo()
    clock = clock_of(where) if profile else Clock()
    memory = None if stack_memory is None else int(stack_memory * 2**30)
    trainer = Trainer(where, stack, memory, clock, place.distribute, compiled)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    stored = refused = 0
    began = time.perf_counter()
    with place.within, patiently(lambda: open_database(target), should_stop) as db:
        print(f"worker {owner} on {where}: sweep {sweep or 'any'} of {db.url}", flush=True)
        while not should_stop():
            with clock(QUEUE):
                claims = take(db, owner, sweep, trainer, lease, peers, should_stop)
            if not claims:
                if patiently(lambda: is_done(db, sweep), should_stop):
                    break
                with clock(WAITING):
                    time.sleep(IDLE)
                continue
            done = train_claims(db, claims, trainer, lease, saving, should_stop)
            with clock(STORING):
                late = patiently(partial(store_runs, db, done), should_stop)
            for run in late:
                print(f"run {run}: result refused, another worker has it", file=sys.stderr)
            for held, record in done:
                if held.run not in late:
                    saving.forget(held.run)
                    if hook is not None:
                        call_hook(hook, record)
            stored, refused = stored + len(done) - len(late), refused + len(late)
    clock.seconds[ALL] = time.perf_counter() - began
    why = "asked to stop" if should_stop() else "nothing is left to train"
    print(f"worker {owner} ends, {why}: {stored} runs stored, {refused} refused as too late")
    if profile:
        print(f"worker {owner}: {PROFILE} {json.dumps(clock.seconds)}", flush=True)
    return Work(stored, refused)


def check_numbers(
    stack: int | None, stack_memory: float | None, lease: float, save_every: float
) -> None:
    """Refuse numbers that mean nothing."""
    rules = {
        "stack": (stack, 1, ""),
        "stack_memory": (stack_memory, 0, " GiB"),
        "lease": (lease, 1, " second"),
        "save_every": (save_every, 0, " seconds"),
    }
    for name, (value, least, unit) in rules.items():
        if value is not None and not value >= least:
            raise RequestError(f"{name} must be at least {least}{unit}, but got {value}.")


def take(
    db: Database,
    owner: str,
    sweep: str | None,
    trainer: Trainer,
    lease: float,
    peers: int,
    should_stop: Callable[[], bool],
) -> list[Claim]:
    """Claim trials; where none waits, add some to a study that wants more, and claim those."""

    def claiming() -> list[Claim]:
        limits = trainer.limits
        return claim(
            db, owner, sweep=sweep, size=trainer.most, lease=lease, limits=limits, peers=peers
        )

    claims = patiently(claiming, should_stop)
    if not claims and patiently(lambda: extend(db, owner, sweep, trainer.most), should_stop):
        claims = patiently(claiming, should_stop)
    return claims


def announce(claims: Sequence[Claim]) -> None:
    """Say what is being trained: whoever looks for a run finds its worker's log by its id."""
    first = claims[0].trial
    optimizers = "/".join(sorted({c.trial.optimizer for c in claims}))
    runs = " ".join(c.run for c in claims)
    what = f"{first.dataset} {list(first.test_environments)}, {first.algorithm}, {optimizers}"
    print(f"worker {claims[0].owner} trains {len(claims)} of {what}: {runs}", flush=True)


def train_claims(
    db: Database,
    claims: Sequence[Claim],
    trainer: Trainer,
    lease: float,
    saving: Saving,
    should_stop: Callable[[], bool],
) -> list[tuple[Claim, RunRecord]]:
    """Train what was claimed. What could not be trained for no fault of its own is given back."""
    by_id = {c.run: c for c in claims}
    try:
        with Lease(db, claims, lease, should_stop) as held:
            size = trainer.suitable([c.trial for c in claims], held.tick)
            if size < len(claims):  # more were claimed than it was wise to
                patiently(partial(release, db, claims[size:]), should_stop)
                claims = claims[:size]
            announce(claims)
            kept = patiently(partial(weights_to_keep, db, list(by_id)), should_stop)
            saving = replace(saving, weights=kept, on_saved=partial(note_progress, db, by_id))
            records = trainer.train([c.trial for c in claims], held.tick, saving)
    except (StopTrainingError, LostLeaseError) as why:
        patiently(partial(release, db, claims), should_stop)
        print(f"gave back {len(claims)} trials: {why}", file=sys.stderr)
        return []
    except BaseException:
        release(db, claims)
        raise
    return [(by_id[record.trial.id], record) for record in records]


def note_progress(db: Database, claims: Mapping[str, Claim], run: str) -> None:
    """A run was saved, so its attempts are excused; a database that is away ends no training."""
    try:
        excuse(db, claims[run])
    except DatabaseError as error:
        print(f"run {run}: saved, but not noted: {error}", file=sys.stderr)
