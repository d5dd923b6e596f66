"""The kinds of probes of ``oodbench probe``: what each shows of a run, and what is stored."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from oodbench.probes.end_points import end_of, other_seed
from oodbench.probes.noise import noise_paths
from oodbench.probes.path import Array, measurements
from oodbench.probes.recording import Tell, record_paths, retrain
from oodbench.probes.sharpness import sharpness
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.training import Tensors
from oodbench.training.loop import build_module
from oodbench.training.precision import numerics
from oodbench.training.stack import stackable

Probed = tuple[dict[str, Any], list[Measurement]]
"""A row to show, and what is stored."""
ENDS = ("own", "seed")
"""End points by name; anything else is a run's id."""


def rsi_eb(
    records: Sequence[RunRecord],
    data: Tensors,
    device: torch.device,
    stacked: bool,
    tell: Tell,
    every: int = 1,
    null: bool = True,
    full_every: int = 0,
    end: str | RunRecord = "own",
) -> list[Probed]:
    """RSI and EB along the path: see ``oodbench.probes.path``."""
    trials = [record.trial for record in records]
    point = end_point(trials, data, device, stacked, tell, end)
    paths, again = record_paths(trials, data, device, stacked, point, tell, full_every)
    null = null and point is None  # elsewhere noise leads nowhere: gamma is 0 on average
    nulls = noise_paths(trials, paths, data, device, stacked, tell=tell) if null else []
    found = []
    for k, (record, path) in enumerate(zip(records, paths, strict=True)):
        row = {
            **about(record, again.records[k]),
            "gamma": median(path.gamma),
            "RSI": median(path.rsi),
            "EB": median(path.eb),
            "best lr": median(path.best_lr),
        }
        if path.full:
            row["full gamma"] = median(path.full.gamma)
        if point is None:
            gamma_null = nulls[k].gamma if null else path.noise
            row["gamma / noise"] = median(path.gamma / gamma_null)
        else:
            row["last distance"] = path.last
        arrived = np.isfinite(path.last)  # the other seed may have diverged: then nothing is known
        stored = measurements(path, nulls[k].gamma if null else None, every, prefix_of(end))
        found.append((row, stored if arrived else []))
    return found


def end_point(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    stacked: bool,
    tell: Tell,
    end: str | RunRecord,
) -> torch.Tensor | None:
    """(K, P) or (1, P) end points; None for the trials' own."""
    if end == "own":
        return None
    if isinstance(end, RunRecord):
        return end_of([end.trial], data, device, stacks(end.trial, data), tell)
    return end_of([other_seed(trial) for trial in trials], data, device, stacked, tell)


def prefix_of(end: str | RunRecord) -> str:
    """How the metrics of a path begin, by its end point."""
    if isinstance(end, RunRecord):
        return f"path_to_{end.trial.id[:10]}_"
    return {"own": "path_", "seed": "path_seed_"}[end]


def median(values: Array) -> float:
    """The median of the values that are not NaN; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def end_sharpness(
    records: Sequence[RunRecord],
    data: Tensors,
    device: torch.device,
    stacked: bool,
    tell: Tell,
    examples: int = 512,
    rho: float = 0.05,
) -> list[Probed]:
    """Sharpness at the end: see ``oodbench.probes.sharpness``; on training examples.

    Of the loss in float32 for ``bf16`` and ``tf32`` too, whose steps a Hessian would only see as
    rounding.
    """
    trials = [record.trial for record in records]
    again = retrain(trials, data, device, stacked, tell=tell)
    module = build_module(trials[0], data.shape, data.num_classes).to(device).eval()
    starts = np.cumsum([0, *data.sizes])[:-1]
    sizes = [min(examples, size) for size in data.sizes]
    which = np.concatenate([s + np.arange(n) for s, n in zip(starts, sizes, strict=True)])
    indices = torch.from_numpy(which).to(device)
    weights = [again.run.weights(model) for model in range(len(trials))]
    tell(f"measuring the sharpness on {len(which):,} examples")
    with numerics(device):
        measured = sharpness(
            module.to(next(iter(weights[0].values())).dtype),
            weights,
            data.inputs[indices],
            data.labels[indices],
            rho=rho,
        )
    found = []
    for record, new, one in zip(records, again.records, measured, strict=True):
        row = {
            **about(record, new),
            "eigenvalue": one.eigenvalue,
            "trace": one.trace,
            "SAM": one.sam,
            "n": one.n,
        }
        found.append((row, one.measurements(record.trial.steps)))
    return found


def about(stored: RunRecord, new: RunRecord) -> dict[str, Any]:
    """Which run it is, and how near training it again came to what is stored."""

    def last(record: RunRecord) -> dict[tuple[str, str], float]:
        final = [m for m in record.measurements if m.step == stored.trial.steps]
        return {(m.environment, m.split): m.value for m in final if m.metric == "accuracy"}

    old, now = last(stored), last(new)
    trial = stored.trial
    return {
        "run": trial.id,
        "dataset": trial.dataset,
        "algorithm": trial.algorithm,
        "optimizer": trial.optimizer,
        "steps": trial.steps,
        "difference": max((abs(old[key] - now[key]) for key in old), default=float("nan")),
    }


def stacks(trial: Trial, data: Tensors) -> bool:
    """Whether the trial may be trained in a stack."""
    return stackable(trial, build_module(trial, data.shape, data.num_classes))


KINDS: dict[str, Callable[..., list[Probed]]] = {"rsi-eb": rsi_eb, "sharpness": end_sharpness}
