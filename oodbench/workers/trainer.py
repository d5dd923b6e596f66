"""Training claimed trials on one device: as many together as is fastest and fits in memory."""

import gc
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch

from oodbench.data import DATASETS, Dataset
from oodbench.errors import (
    LostLeaseError,
    RequestError,
    StopTrainingError,
    UnknownNameError,
)
from oodbench.records import RunRecord, Trial, canonical_json
from oodbench.training import DTYPES, NOTHING, Clock, Distribute, Saving, Tensors, load, train
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.frozen import as_inputs, check_pretrained
from oodbench.training.precision import tell_if_slow
from oodbench.training.replicas import torchrun
from oodbench.training.replicas.local import run_on_processes
from oodbench.training.sizing import SIZES, memory_bound, stack_size

FALLBACK = 32
"""Models trained together where it cannot be measured what is best."""
Tick = Callable[[], None]


class Trainer:
    """Trains cohorts one after another, and learns how large they should be.

    Args:
        device: Where to train.
        stack: Most models trained together; None: what is fastest, measured for each kind of trial.
        memory: Bytes that a measured stack may need; None: see ``sizing.memory_bound``.
        clock: Takes the time of each phase.
        distribute: Trains trials with replicas, one by one; by default they are simulated.
        compiled: Compile the training step: see ``oodbench.training.fast.compiling``.

    Attributes:
        most: The largest cohort to claim of trials of which nothing is known yet.
        limits: Cohort key -> the largest cohort to claim of those trials.
    """

    def __init__(
        self,
        device: torch.device,
        stack: int | None = None,
        memory: int | None = None,
        clock: Clock | None = None,
        distribute: Distribute | None = None,
        compiled: bool = False,
    ) -> None:
        self.device, self.clock = device, clock or Clock()
        self.most = SIZES[-1] if stack is None else stack
        self.limits: dict[str, int] = {}
        self._measures, self._distribute = stack is None, distribute
        self._compiled = compiled
        self._memory = memory_bound(device) if memory is None else memory
        self._did_not_fit: set[str] = set()

    def suitable(self, trials: Sequence[Trial], tick: Tick) -> int:
        """How many of these trials, which have one cohort key, to train together.

        Raises:
            RequestError: If the data on this machine are not those of the trials.
        """
        first = trials[0]
        tell_if_slow(first.precision, str(self.device))
        if self._distribute and first.parallel:
            self.limits[first.cohort_key] = 1
        if len(trials) > 1 and self._measures and first.cohort_key not in self.limits:
            data = tensors_for(first, self.device)
            try:
                found = stack_size(first, data, self.device, self._memory, tick)
            except (StopTrainingError, LostLeaseError, UnknownNameError):
                raise
            except Exception as error:  # the trials will show whose fault it is
                print(f"stacks of {FALLBACK}, not measured: {error}", file=sys.stderr, flush=True)
                self.limits[first.cohort_key] = FALLBACK
            else:
                what = f"{first.model} on {first.dataset}, {first.algorithm}, {self.device}"
                print(f"{what}: {found}", flush=True)
                # Each replica is a model of the stack.
                self.limits[first.cohort_key] = max(1, found.size // first.replicas)
        return min(len(trials), self.limits.get(first.cohort_key, self.most))

    def train(
        self, trials: Sequence[Trial], tick: Tick, saving: Saving = NOTHING
    ) -> list[RunRecord]:
        """Train trials together; one that raises is found by halving and recorded as failed.

        Args:
            trials: With one cohort key.
            tick: See ``oodbench.training.train``.
            saving: Likewise.

        Raises:
            UnknownNameError: If this machine lacks an optimizer, algorithm or model: a plug-in that
                is not installed here is no fault of the trials.
            ArtifactError: If weights that are to be kept cannot be written.
            RequestError: If it lacks a package that one of them imports, or has other data.
        """
        tell_if_slow(trials[0].precision, str(self.device))
        key, half = trials[0].cohort_key, len(trials) // 2
        if len(trials) <= self.limits.get(key, len(trials)):
            try:
                data = tensors_for(trials[0], self.device)
                how = self.clock, self._distribute, self._compiled
                records = train(trials, data, self.device, tick, saving, *how)
                if key not in self._did_not_fit:
                    return records
                found = {"stack_limited_by_memory": self.limits[key]}
                return [replace(r, provenance={**r.provenance, **found}) for r in records]
            except (StopTrainingError, LostLeaseError, RequestError):
                raise
            except ImportError as error:  # of a plug-in's own needs, again no fault of the trials
                raise RequestError(f"A trial needs what is not installed here: {error}.") from error
            except Exception as error:
                if len(trials) == 1:
                    return [failed(trials[0], error)]
                if isinstance(error, torch.OutOfMemoryError):
                    self.limits[key] = half
                    self._did_not_fit.add(key)
                    print(
                        f"{len(trials)} models do not fit in memory, trying {half}", file=sys.stderr
                    )
        # Only here, where the error and with it the frames of training are gone, is memory free.
        gc.collect()
        torch.cuda.empty_cache()
        parts = (trials[:half], trials[half:])
        return [record for part in parts for record in self.train(part, tick, saving)]


def failed(trial: Trial, error: Exception) -> RunRecord:
    """The record of a trial that raised ``error``."""
    lines = "".join(traceback.format_exception(error))
    print(f"run {trial.id} failed:\n{lines}", file=sys.stderr, flush=True)
    what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    reason = f"Training raised {what[:300]} (its worker's log has the traceback: grep {trial.id})."
    return RunRecord(trial, "failed", reason)


def device_named(name: str) -> str:
    """What ``auto`` is on this machine; other names are themselves."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def find_device(name: str) -> torch.device:
    """The device, with one thread if it is the CPU: workers share the cores among them."""
    name = device_named(name)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
        raise RequestError(f"Cannot use the device {name!r}: {error}") from error
    if device.type == "cpu":
        prepare_for_cpu()
    return device


@dataclass(frozen=True)
class Place:
    """Where a worker trains.

    Attributes:
        device: What on.
        should_stop: Whether it is to end.
        distribute: How it trains trials with replicas; None: they are simulated.
        within: What it works within.
    """

    device: torch.device
    should_stop: Callable[[], bool]
    distribute: Distribute | None = None
    within: AbstractContextManager[None] = field(default_factory=nullcontext)


def placed(device: torch.device, processes: bool, should_stop: Callable[[], bool]) -> Place | None:
    """Where this worker trains; None once all is done, for a process of torchrun's but its first.

    Raises:
        RequestError: If this worker is to start processes on another device than a CPU.
    """
    if not processes:
        return Place(device, should_stop)
    if torchrun.rank() is None:
        if device.type == "cpu":
            return Place(device, should_stop, run_on_processes)
        raise RequestError(
            f"A worker starts processes for replicas on a CPU alone, but the device is {device}. "
            "Choose --device cpu, or start one process for each GPU with torchrun."
        )
    ranks = torchrun.Ranks(device)
    if ranks.rank == 0:
        stop = lambda: should_stop() or ranks.stopping  # noqa: E731
        return Place(ranks.device, stop, ranks.distribute, ranks.leading())

    def tick() -> None:
        if should_stop():
            raise StopTrainingError("it was asked to stop")

    ranks.follow(tensors_for, tick)
    return None


def tensors_for(trial: Trial, device: torch.device) -> Tensors:
    """The data of a trial and all trials of its cohort.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    known = {name: value for name, value in trial.to_json().items() if name in DECIDE_DATA}
    return _tensors(canonical_json({**ANY, **known}), device)


def check_fingerprint(trial: Trial, fingerprint: str) -> None:
    """Raise RequestError unless the data with this fingerprint are those of the trial."""
    if fingerprint != trial.fingerprint:
        raise RequestError(
            f"{trial.dataset} on this machine has the fingerprint {fingerprint}, but the sweep was "
            f"made with {trial.fingerprint}: other files or versions. Use the same data everywhere."
        )


DECIDE_DATA = (
    "dataset",
    "fingerprint",
    "test_environments",
    "data_seed",
    "dataset_options",
    "model",
    "model_options",
    "pretrained",
    "precision",
)
"""What a trial's tensors hang on: the model only where a frozen part of it makes features."""
ANY: dict[str, Any] = {
    "algorithm": "",
    "optimizer": "",
    "hparams": {},
    "steps": 0,
    "batch": {},
    "evaluate_every": 0,
    "seed": 0,
}


@lru_cache(maxsize=4)
def _tensors(text: str, device: torch.device) -> Tensors:
    trial = Trial.from_json(json.loads(text))
    check_pretrained(trial)
    dataset = as_inputs(data_of(trial), trial, device)
    return load(dataset, trial.test_environments, device, DTYPES[trial.precision])


def data_of(trial: Trial) -> Dataset:
    """The dataset of a trial.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    dataset = DATASETS.get(trial.dataset).load(trial.dataset_options, trial.data_seed)
    check_fingerprint(trial, dataset.fingerprint)
    return dataset
