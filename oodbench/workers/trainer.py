"""Training claimed trials on one device: as many together as is fastest and fits in memory."""

import gc
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from oodbench.errors import (
    LostLeaseError,
    ProcessGoneError,
    RequestError,
    StopTrainingError,
    UnknownNameError,
)
from oodbench.records import RunRecord, Trial
from oodbench.training import NOTHING, Clock, Distribute, Saving, train
from oodbench.training.precision import tell_if_slow
from oodbench.training.sizing import SIZES, memory_bound, stack_size
from oodbench.workers.trial_data import tensors_for
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

FALLBACK = 32
"""Models trained together where it cannot be measured what is best."""
Tick = Callable[[], None]


class Trainer:
    """Trains cohorts one after another, and learns how large they should be.

    Args:
        device: Where to train.
        settings: Settings of the worker: ``stack``, ``stack_memory``, ``compiled``,
            ``cuda_graphs``, ``nondeterministic``, ``profile`` and ``loaders`` count here.
        clock: Takes the time of each phase.
        distribute: Trains trials with replicas, one by one; by default they are simulated.

    Attributes:
        most: The largest cohort to claim of trials of which nothing is known yet.
        limits: Cohort key -> the largest cohort to claim of those trials.
    """

    def __init__(
        self,
        device: torch.device,
        settings: WorkerSettings = DEFAULTS,
        clock: Clock | None = None,
        distribute: Distribute | None = None,
    ) -> None:
        self.device, self.clock = device, clock or Clock()
        self.most = settings.stack or SIZES[-1]
        self.limits: dict[str, int] = {}
        self._settings, self._distribute = settings, distribute
        memory = settings.stack_memory
        self._memory = memory_bound(device) if memory is None else int(memory * 2**30)
        self._did_not_fit: set[str] = set()
        self._again: set[str] = set()

    def suitable(self, trials: Sequence[Trial], tick: Tick) -> int:
        """How many of these trials, which have one cohort key, to train together.

        Raises:
            RequestError: If the data on this machine are not those of the trials.
        """
        first = trials[0]
        tell_if_slow(first.precision, str(self.device))
        if self._distribute and first.parallel:
            self.limits[first.cohort_key] = 1
        if len(trials) > 1 and self._settings.stack is None and first.cohort_key not in self.limits:
            data = tensors_for(first, self.device, self.clock)
            try:
                found = stack_size(first, data, self.device, self._memory, tick)
            except (StopTrainingError, LostLeaseError, UnknownNameError):
                raise
            except Exception as error:  # the trials will show whose fault it is
                if is_lasting(error):
                    raise
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

        See ``oodbench.training.train``.

        Raises:
            UnknownNameError: If this machine lacks an optimizer, algorithm or model: a plug-in that
                is not installed here is no fault of the trials.
            ArtifactError: If weights that are to be kept cannot be written.
            RequestError: If it lacks a package that one of them imports, or has other data.
            torch.AcceleratorError: If the device can do nothing more in this process.
            ProcessGoneError: If a process that trains a replica died.
        """
        tell_if_slow(trials[0].precision, str(self.device))
        key, half = trials[0].cohort_key, len(trials) // 2
        if len(trials) <= self.limits.get(key, len(trials)):
            try:
                data = tensors_for(trials[0], self.device, self.clock)
                settings = self._settings
                how = self.clock, self._distribute, settings.compiled
                graphs = settings.cuda_graphs and not settings.profile  # which waits within a step
                more = not settings.nondeterministic, settings.loaders, graphs
                records = train(trials, data, self.device, tick, saving, *how, *more)
                return self._marked(records, key)
            except (StopTrainingError, LostLeaseError, RequestError):
                raise
            except ImportError as error:  # of a plug-in's own needs, again no fault of the trials
                raise RequestError(f"A trial needs what is not installed here: {error}.") from error
            except Exception as error:
                if is_lasting(error):
                    raise
                full = is_out_of_memory(error)
                if len(trials) == 1 and (not full or trials[0].id in self._again):
                    return [failed(trials[0], error)]
                if len(trials) == 1:  # others on this GPU may have had what it needs
                    self._again.add(trials[0].id)
                elif full:
                    self.limits[key] = half
                    self._did_not_fit.add(key)
                    said = f"{len(trials)} models do not fit in memory, trying {half}"
                    print(said, file=sys.stderr)
        # Only here, where the error and with it the frames of training are gone, is memory free.
        gc.collect()
        torch.cuda.empty_cache()
        parts = [part for part in (trials[:half], trials[half:]) if part]
        return [record for part in parts for record in self.train(part, tick, saving)]

    def _marked(self, records: list[RunRecord], key: str) -> list[RunRecord]:
        """The records; they say so if memory limited their stack."""
        if key not in self._did_not_fit:
            return records
        found = {"stack_limited_by_memory": self.limits[key]}
        return [replace(r, provenance={**r.provenance, **found}) for r in records]


def is_lasting(error: Exception) -> bool:
    """Whether every further call will fail: after an assert, an ECC error, on a lost GPU or node.

    The worker has to end: the next one begins anew, and finds the trial that does this, if one
    does, as it finds one that kills its worker.
    """
    if isinstance(error, ProcessGoneError):
        return True
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device had too little memory left: by torch's allocator, or outside of it."""
    outside = isinstance(error, torch.AcceleratorError) and "out of memory" in str(error)
    return outside or isinstance(error, torch.OutOfMemoryError)


def failed(trial: Trial, error: Exception) -> RunRecord:
    """The record of a trial that raised ``error``."""
    lines = "".join(traceback.format_exception(error))
    print(f"run {trial.id} failed:\n{lines}", file=sys.stderr, flush=True)
    what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    reason = f"Training raised {what[:300]} (its worker's log has the traceback: grep {trial.id})."
    return RunRecord(trial, "failed", reason)
