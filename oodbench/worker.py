"""The pull loop: take trials, train them, store them, until the sweep is done.

It is the same process everywhere: started by hand, by ``oodbench sweep``, by a scheduler.
"""

import gc
import json
import os
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from oodbench.data import DATASETS
from oodbench.errors import LostLeaseError, RequestError, UnknownNameError
from oodbench.lease import Lease, StopTrainingError, patiently
from oodbench.records import RunRecord, Trial, canonical_json
from oodbench.results import (
    Claim,
    Database,
    claim,
    is_done,
    open_database,
    release,
    store_runs,
)
from oodbench.training import DTYPES, Tensors, load, train

STACK = 32
"""Models trained together by default: on a CPU more outgrow the cache and gain no more."""
LEASE = 60.0
"""Seconds for which a silent worker keeps its trials."""
IDLE = 0.5
"""Seconds between looks at the queue while others hold the last trials."""


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
    stack: int = STACK,
    lease: float = LEASE,
    owner: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Work:
    """Train trials of the sweep until none is left or ``should_stop`` says so.

    Args:
        target: URL or path of the database.
        sweep: Name of the sweep; any trial that waits in the database if None.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
        stack: Most models trained together.
        lease: Seconds for which a silent worker keeps its trials.
        owner: A name that no other worker has; made up by default.
        should_stop: Asked after every step.

    Raises:
        DatabaseError: If the database cannot be used.
        RequestError: If the data on this machine are not those of the sweep, or the device, the
            stack or the lease cannot be used.
    """
    if stack < 1:
        raise RequestError(f"stack must be at least 1, but got {stack}.")
    if not lease >= 1:
        raise RequestError(f"lease must be at least 1 second, but got {lease}.")
    where = find_device(device)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    stored = refused = 0
    limits: dict[str, int] = {}
    with patiently(lambda: open_database(target), should_stop) as db:
        print(f"worker {owner} on {where}: sweep {sweep or 'any'} of {db.url}", flush=True)
        while not should_stop():
            claims = patiently(
                lambda: claim(db, owner, sweep=sweep, size=stack, lease=lease, limits=limits),
                should_stop,
            )
            if not claims:
                if patiently(lambda: is_done(db, sweep), should_stop):
                    break
                time.sleep(IDLE)
                continue
            announce(owner, claims)
            done = train_claims(db, claims, where, lease, should_stop, limits)
            late = patiently(partial(store_runs, db, done), should_stop)
            for run in late:
                print(f"run {run}: result refused, another worker has it", file=sys.stderr)
            stored, refused = stored + len(done) - len(late), refused + len(late)
    why = "asked to stop" if should_stop() else "nothing is left to train"
    print(f"worker {owner} ends, {why}: {stored} runs stored, {refused} refused as too late")
    return Work(stored, refused)


def find_device(name: str) -> torch.device:
    """The device, with one thread if it is the CPU: workers share the cores among them."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
        raise RequestError(f"Cannot use the device {name!r}: {error}") from error
    if device.type == "cpu":
        torch.set_num_threads(1)
    return device


def announce(owner: str, claims: Sequence[Claim]) -> None:
    """Say what is being trained: whoever looks for a run finds its worker's log by its id."""
    first = claims[0].trial
    optimizers = "/".join(sorted({c.trial.optimizer for c in claims}))
    runs = " ".join(c.run for c in claims)
    print(
        f"worker {owner} trains {len(claims)} of {first.dataset} {list(first.test_environments)}, "
        f"{first.algorithm}, {optimizers}: {runs}",
        flush=True,
    )


def train_claims(
    db: Database,
    claims: Sequence[Claim],
    device: torch.device,
    lease: float,
    should_stop: Callable[[], bool],
    limits: dict[str, int],
) -> list[tuple[Claim, RunRecord]]:
    """Train what was claimed. What could not be trained for no fault of its own is given back."""
    by_id = {c.run: c for c in claims}
    try:
        with Lease(db, claims, lease, should_stop) as held:
            data = tensors_for(claims[0].trial, device)
            records = train_each([c.trial for c in claims], data, device, held.tick, limits)
    except (StopTrainingError, LostLeaseError) as why:
        patiently(partial(release, db, claims), should_stop)
        print(f"gave back {len(claims)} trials: {why}", file=sys.stderr)
        return []
    except BaseException:
        release(db, claims)
        raise
    return [(by_id[record.trial.id], record) for record in records]


def train_each(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    tick: Callable[[], None],
    limits: dict[str, int],
) -> list[RunRecord]:
    """Train trials together; one that raises is found by halving and recorded as failed.

    Args:
        trials, data, device, tick: As for ``train``.
        limits: The largest stack to try, by cohort key, where a larger one did not fit in memory;
            changed if this one does not.

    Raises:
        UnknownNameError: If this machine lacks an optimizer, algorithm or model: a plug-in that is
            not installed here is no fault of the trials.
        RequestError: If it lacks a package that one of them imports.
    """
    key, half = trials[0].cohort_key, len(trials) // 2
    if len(trials) <= limits.get(key, len(trials)):
        try:
            records = train(trials, data, device, tick)
            limit = {"stack_limited_by_memory": limits[key]} if key in limits else {}
            return [replace(r, provenance={**r.provenance, **limit}) for r in records]
        except (StopTrainingError, LostLeaseError, UnknownNameError):
            raise
        except ImportError as error:  # of a plug-in's own needs, again no fault of the trials
            raise RequestError(f"A trial needs what is not installed here: {error}.") from error
        except Exception as error:
            if len(trials) == 1:
                return [failed(trials[0], error)]
            if isinstance(error, torch.OutOfMemoryError):
                limits[key] = half
                print(f"{len(trials)} models do not fit in memory, trying {half}", file=sys.stderr)
    # Only here, where the error and with it the frames of training are gone, is memory free.
    gc.collect()
    torch.cuda.empty_cache()
    parts = (trials[:half], trials[half:])
    return [record for part in parts for record in train_each(part, data, device, tick, limits)]


def failed(trial: Trial, error: Exception) -> RunRecord:
    """The record of a trial that raised ``error``."""
    lines = "".join(traceback.format_exception(error))
    print(f"run {trial.id} failed:\n{lines}", file=sys.stderr, flush=True)
    what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    reason = f"Training raised {what[:300]} (its worker's log has the traceback: grep {trial.id})."
    return RunRecord(trial, "failed", reason)


def tensors_for(trial: Trial, device: torch.device) -> Tensors:
    """The data of a trial and all trials of its cohort.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    options = canonical_json(dict(trial.dataset_options))
    tensors, fingerprint = _tensors(
        trial.dataset, options, trial.data_seed, trial.test_environments, device, trial.precision
    )
    if fingerprint != trial.fingerprint:
        raise RequestError(
            f"{trial.dataset} on this machine has the fingerprint {fingerprint}, but the sweep was "
            f"made with {trial.fingerprint}: other files or versions. Use the same data everywhere."
        )
    return tensors


@lru_cache(maxsize=4)
def _tensors(
    name: str,
    options: str,
    data_seed: int,
    test_environments: tuple[int, ...],
    device: torch.device,
    precision: str,
) -> tuple[Tensors, str]:
    dataset = DATASETS.get(name).load(json.loads(options), data_seed)
    return load(dataset, test_environments, device, DTYPES[precision]), dataset.fingerprint
