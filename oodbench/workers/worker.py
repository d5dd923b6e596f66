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
from typing import TypeVar

from oodbench.data.stopping import stoppable
from oodbench.errors import DatabaseError, LostLeaseError, StopTrainingError
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
    to_keep,
)
from oodbench.training import Clock, Saving, clock_of
from oodbench.training.fast.compiling import check_compiler
from oodbench.training.fast.stepping import spare_dynamo
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.hooks import Hook, call_hook, load_hook
from oodbench.workers.lease import Lease, patiently
from oodbench.workers.place import find_device, placed
from oodbench.workers.proposing import extend
from oodbench.workers.trainer import Trainer, is_lasting
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

T = TypeVar("T")
COMPILING = 600.0
"""Seconds for which a worker keeps its trials at least where a step is compiled: none is taken
until that is done."""
IDLE = 0.5
"""Seconds between looks at the queue while others hold the last trials."""
QUEUE, STORING, WAITING = "queue and search", "storing", "waiting for others"
"""What a worker's clock counts beside the phases of training."""
ALL = "all"
PROFILE = "seconds by phase:"
"""What stands before the JSON in its log, after its name."""


@dataclass(frozen=True)
class Work:
    """What a worker did.

    Attributes:
        stored: How many runs it stored.
        refused: How many were refused as too late.
        stopped: Whether it was asked to stop, or another process of its run was.
    """

    stored: int
    refused: int
    stopped: bool = False

    def __str__(self) -> str:
        return f"{self.stored} runs stored, {self.refused} refused as too late"


def work(
    target: str | Path,
    sweep: str | None = None,
    settings: WorkerSettings = DEFAULTS,
    *,
    owner: str | None = None,
    peers: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
) -> Work:
    """Train trials of the sweep until none is left or ``should_stop`` says so.

    Args:
        target: URL or path of the database.
        sweep: Name of the sweep; any trial that waits in the database if None.
        settings: How to work.
        owner: A name that no other worker has; made up by default.
        peers: How many workers share the sweep: the last trials are divided among them.
        should_stop: Asked after every step.

    Raises:
        DatabaseError: If the database cannot be used.
        RequestError: If the data on this machine are not those of the sweep, the device or the hook
            cannot be used, or nothing can be compiled here.
        ArtifactError: If weights or predictions that are to be kept cannot be written.
    """
    hook = None if settings.on_run_end is None else load_hook(settings.on_run_end)
    place = placed(find_device(settings.device), settings, should_stop)
    if place is None:
        return Work(0, 0)
    if settings.compiled:
        check_compiler(place.device)
        settings = replace(settings, lease=max(settings.lease, COMPILING))
    else:
        spare_dynamo()
    clock = clock_of(place.device) if settings.profile else Clock()
    trainer = Trainer(place.device, settings, clock, place.distribute)
    saving = Saving(Path(settings.artifacts or artifacts_folder(target)), settings.save_every)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    stops = place.should_stop
    began = time.perf_counter()
    with place.within, patiently(lambda: open_database(target), stops) as db:
        print(f"worker {owner} on {place.device}: sweep {sweep or 'any'} of {db.url}", flush=True)
        worker = Worker(db, owner, sweep, settings.lease, peers, trainer, saving, hook, stops)
        done = worker.run()
    clock.seconds[ALL] = time.perf_counter() - began
    why = "asked to stop" if done.stopped else "nothing is left to train"
    print(f"worker {owner} ends, {why}: {done}")
    if settings.profile:
        print(f"worker {owner}: {PROFILE} {json.dumps(clock.seconds)}", flush=True)
    return done


@dataclass(frozen=True)
class Worker:
    """One worker, and the database from which it takes trials: see ``work``."""

    db: Database
    owner: str
    sweep: str | None
    lease: float
    peers: int
    trainer: Trainer
    saving: Saving
    hook: Hook | None
    should_stop: Callable[[], bool]

    def run(self) -> Work:
        """Take, train and store until nothing is left, or it is to stop."""
        stored = refused = 0
        clock = self.trainer.clock
        while not self.should_stop():
            with clock(QUEUE):
                claims = self.take()
            if claims:
                done = self.train(claims)
                with clock(STORING):
                    late = self.patiently(partial(store_runs, self.db, done))
                self.settle(done, late)
                stored, refused = stored + len(done) - len(late), refused + len(late)
            elif self.patiently(lambda: is_done(self.db, self.sweep)):
                break
            else:
                with clock(WAITING):
                    time.sleep(IDLE)
        return Work(stored, refused, self.should_stop())

    def patiently(self, ask: Callable[[], T]) -> T:
        """What the database answers; see ``lease.patiently``."""
        return patiently(ask, self.should_stop)

    def take(self) -> list[Claim]:
        """Claim trials; where none waits, add some to a study that wants more, and claim those."""
        most = self.trainer.most
        claiming = partial(
            claim,
            self.db,
            self.owner,
            sweep=self.sweep,
            size=most,
            lease=self.lease,
            limits=self.trainer.limits,
            peers=self.peers,
        )
        claims = self.patiently(claiming)
        if not claims and self.patiently(partial(extend, self.db, self.owner, self.sweep, most)):
            claims = self.patiently(claiming)
        return claims

    def train(self, claims: list[Claim]) -> list[tuple[Claim, RunRecord]]:
        """Train what was claimed, and give back what could not be trained for no fault of its own.

        Returns:
            What came of each that was trained.
        """
        by_id = {c.run: c for c in claims}
        try:
            hold = Lease(self.db, claims, self.lease, self.should_stop)
            with stoppable(self.should_stop), hold as held:
                size = self.trainer.suitable([c.trial for c in claims], held.tick)
                if size < len(claims):  # more were claimed than it was wise to
                    self.patiently(partial(release, self.db, claims[size:]))
                    claims = claims[:size]
                announce(claims)
                kept = self.patiently(partial(to_keep, self.db, list(by_id)))
                noting = partial(note_progress, self.db, by_id)
                saving = replace(self.saving, **vars(kept), on_saved=noting)
                records = self.trainer.train([c.trial for c in claims], held.tick, saving)
        except (StopTrainingError, LostLeaseError) as why:
            self.patiently(partial(release, self.db, claims))
            print(f"gave back {len(claims)} trials: {why}", file=sys.stderr)
            return []
        except BaseException as why:
            if not (isinstance(why, Exception) and is_lasting(why)):  # else they are found by death
                release(self.db, claims)
            raise
        return [(by_id[record.trial.id], record) for record in records]

    def settle(self, done: Sequence[tuple[Claim, RunRecord]], late: Sequence[str]) -> None:
        """What follows from storing runs, or from being too late for those of the ids ``late``."""
        for run in late:
            print(f"run {run}: result refused, another worker has it", file=sys.stderr)
        for held, record in done:
            if held.run not in late:
                self.saving.forget(held.run)
                if self.hook is not None:
                    call_hook(self.hook, record)


def announce(claims: Sequence[Claim]) -> None:
    """Say what is being trained: whoever looks for a run finds its worker's log by its id."""
    first = claims[0].trial
    optimizers = "/".join(sorted({c.trial.optimizer for c in claims}))
    runs = " ".join(c.run for c in claims)
    what = f"{first.dataset} {list(first.test_environments)}, {first.algorithm}, {optimizers}"
    print(f"worker {claims[0].owner} trains {len(claims)} of {what}: {runs}", flush=True)


def note_progress(db: Database, claims: Mapping[str, Claim], run: str) -> None:
    """A run was saved, so its attempts are excused; a database that is away ends no training."""
    try:
        excuse(db, claims[run])
    except DatabaseError as error:
        print(f"run {run}: saved, but not noted: {error}", file=sys.stderr)
