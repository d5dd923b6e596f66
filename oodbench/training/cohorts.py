"""Training the trials of a cohort: in one stack, one by one, or on from a checkpoint."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from oodbench.optimizers import OPTIMIZERS
from oodbench.records import RunRecord, Trial
from oodbench.seeds import seed_of
from oodbench.training.checkpoints import NOTHING, SOON, Saver, Saving, resumed
from oodbench.training.clock import Clock
from oodbench.training.fast.compiling import tell_plain
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.keeping import keep
from oodbench.training.loop import Run, build_module
from oodbench.training.outcome import records_of
from oodbench.training.precision import numerics
from oodbench.training.random import seeded
from oodbench.training.reporting import Reported
from oodbench.training.stack import stackable, stacks_alone

Tick = Callable[[], None]
Build = partial[Run]
"""Makes a run of trials."""
Distribute = Callable[[Trial, Tensors, torch.device, Tick, Saving], RunRecord]
"""Trains one trial, a replica in each process: see ``replicas.local`` and ``replicas.torchrun``."""


def train(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device | str = "cpu",
    tick: Tick = lambda: None,
    saving: Saving = NOTHING,
    clock: Clock | None = None,
    distribute: Distribute | None = None,
    compiled: bool = False,
    deterministic: bool = True,
    loaders: int | None = 0,
    graphs: bool = False,
) -> list[RunRecord]:
    """Train the trials and return their records, in order.

    Trials whose model or optimizer cannot be stacked are trained one by one; so are those of which
    a checkpoint lies there, from which they go on. Those with replicas leave no checkpoints.

    Args:
        trials: Trials with one cohort key.
        data: See ``inputs.tensors.load``; on ``device``, in the trials' precision.
        device: Where to train.
        tick: Called after every step; what it raises ends the training.
        saving: Which checkpoints and weights are left on disk.
        clock: Takes the time of each phase.
        distribute: Trains a trial with replicas; by default they are simulated in this process.
        compiled: Compile the training step, but for trials with replicas.
        deterministic: Whether a GPU computes the same bits each time: see ``precision.numerics``.
        loaders: Threads that make batches ahead: see ``inputs.loading.Loading``. Where
            ``distribute`` trains it knows how many by itself.
        graphs: Take the steps of stacks as CUDA graphs on a GPU: see ``fast.capturing``.

    Raises:
        ValueError: If the trials differ in more than optimizer, hyperparameters and seed.
        ArtifactError: If weights that are to be kept cannot be written.
    """
    device = torch.device(device)
    if len({trial.cohort_key for trial in trials}) != 1:
        raise ValueError("Trials that are trained together must have one cohort key.")
    if trials[0].parallel and compiled:
        tell_plain("replicas", "they are outside what is compiled")
    build: Build = partial(
        Run,
        data=data,
        device=device,
        selected=saving.selected,
        predicting=saving.predictions,
        clock=clock,
        loaders=loaders,
    )
    with numerics(device, trials[0].precision, deterministic):
        if trials[0].parallel and distribute:
            return [distribute(trial, data, device, tick, saving) for trial in trials]
        module = build_module(trials[0], data.shape, data.num_classes)
        if trials[0].parallel:
            return simulate(trials, module, device, build, tick, saving)
        build = partial(build, compiled=compiled, graphs=graphs)
        return train_plain(trials, module, device, build, tick, saving)


def train_plain(
    trials: Sequence[Trial],
    module: nn.Module,
    device: torch.device,
    build: Build,
    tick: Tick,
    saving: Saving,
) -> list[RunRecord]:
    """``train`` for trials without replicas, of which ``module`` is a model."""
    together = [trial for trial in trials if stackable(trial, module)]
    begun = [[trial] for trial in together if saving.begun(trial)]
    fresh = in_stacks([trial for trial in together if not saving.begun(trial)], device)
    if not stacks_alone(module):
        begun, fresh = [], [cohort for cohort in fresh if len(cohort) > 1]
    records: dict[Trial, RunRecord] = {}
    for cohort in (*begun, *fresh):
        records |= carry_out(cohort, build, tick, saving)
    for trial in trials:
        if trial not in records:
            with seeded(seed_of(trial.seed, "layers"), device):  # for dropout
                records |= carry_out([trial], partial(build, stacked=False), tick, saving)
    return [records[trial] for trial in trials]


def simulate(
    trials: Sequence[Trial],
    module: nn.Module,
    device: torch.device,
    build: Build,
    tick: Tick,
    saving: Saving,
) -> list[RunRecord]:
    """``train`` for trials with replicas: all replicas in this process."""
    together = [trial for trial in trials if stackable(trial, module)]
    records: dict[Trial, RunRecord] = {}
    for cohort in (*in_stacks(together, device), *([t] for t in trials if t not in together)):
        run = build(cohort, stacked=cohort[0] in together)
        run.train(Reported(run, tick))
        for number, record in enumerate(records_of(run)):
            records[record.trial] = keep(run, number, record, saving)
    return [records[trial] for trial in trials]


def in_stacks(trials: Sequence[Trial], device: torch.device) -> list[list[Trial]]:
    """The trials in stacks whose models all need as many gradients a step.

    In a common one, each would pay for as many as its neighbours need. So it would for their waits.
    """
    stacks: dict[tuple[int, bool], list[Trial]] = {}
    for trial in trials:
        spec = OPTIMIZERS.get(trial.optimizer)
        waits = spec.waits and device.type == "cuda"
        stacks.setdefault((spec.evaluations, waits), []).append(trial)
    return list(stacks.values())


def carry_out(
    cohort: Sequence[Trial], build: Build, tick: Tick, saving: Saving
) -> dict[Trial, RunRecord]:
    """Train a cohort to its end, one that is a single trial from its checkpoint; what came of it.

    Trials whose optimizer left the stack are not among the records.
    """
    file = saving.checkpoint(cohort[0].id)
    if len(cohort) == 1 and file is not None:
        run = resumed(partial(build, cohort), file)
        saver = Saver(run, file, saving, tick)
        run.train(Reported(run, saver.tick))
        saver.save_after(SOON)  # it is stored only when the others of its claim are done, too
    else:
        run = build(cohort)
        run.train(Reported(run, tick))
    return {
        record.trial: keep(run, model, record, saving)
        for model, record in enumerate(records_of(run))
        if model not in run.broken
    }
