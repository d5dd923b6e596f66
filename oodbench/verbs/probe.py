"""Probing stored runs: they are trained again, measured on the way, and their database told."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.probes.end_points import check_end, end_of, other_seed
from oodbench.probes.noise import noise_paths
from oodbench.probes.path import Array, measurements
from oodbench.probes.recording import record_paths, retrain
from oodbench.probes.sharpness import sharpness
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.results import Database, load_run, open_database, refuse_imported
from oodbench.results.probes import store_probes
from oodbench.training import Tensors
from oodbench.training.loop import build_module
from oodbench.training.precision import BF16
from oodbench.training.stack import can_stack
from oodbench.verbs.query import query
from oodbench.workers.place import find_device
from oodbench.workers.trial_data import tensors_for

if TYPE_CHECKING:
    import pandas as pd

Tick = Callable[[], None]
ENDS = ("own", "seed")
"""End points by name; anything else is a run's id."""
Probed = tuple[dict[str, Any], list[Measurement]]
"""A row to show, and what is stored."""


def probe(
    kind: str,
    db: str | Path,
    where: str | None = None,
    *,
    select: str | None = None,
    sweep: str | None = None,
    device: str = "auto",
    stack: int = 32,
    tick: Tick = lambda: None,
    **options: Any,
) -> "pd.DataFrame":
    """Train completed runs again, measure something on the way, and store it with them.

    Args:
        kind: ``rsi-eb`` or ``sharpness``.
        db: URL or path of the database.
        where: A condition on the runs.
        select: A run rule, as in ``query``.
        sweep: Runs of this sweep only.
        device: Where to train.
        stack: Most models trained together.
        tick: Called after every step.
        options: ``rsi-eb``: ``every``, ``null``, ``full_every``, and ``end``: ``own``, ``seed`` or
            enough of a run's id. ``sharpness``: ``examples``, ``rho``.

    Returns:
        A row a run: what is stored at a glance, and ``difference``: the largest between an
        accuracy at the last step as it is stored and as it was now.

    Raises:
        UnknownNameError: If there is no such probe.
        RequestError: If no completed run is left, one cannot be trained here, or the end point is a
            run of another model or dataset.
    """
    if kind not in KINDS:
        raise UnknownNameError("probe", kind, KINDS)
    frame = query(db, where, select=select, sweep=sweep)
    runs = list(dict.fromkeys(frame.loc[frame["status"] == "completed", "run"]))
    if not runs:
        raise RequestError("No completed run matches: there is nothing to probe.")
    with open_database(db) as database:
        records = [load_run(database, run) for run in runs]
        for record in records:
            refuse_imported(record.trial, "trained again")
        if kind == "sharpness" and any(record.trial.precision == BF16 for record in records):
            print("sharpness of bf16 runs: of their loss in float32", file=sys.stderr)
        if options.get("end", "own") not in ENDS:
            options["end"] = end_run(database, options["end"], records)
        measure = partial(KINDS[kind], tick=tick, **options)
        return probe_runs(database, records, measure, find_device(device), stack)


def probe_runs(
    db: Database,
    records: Sequence[RunRecord],
    measure: Callable[..., list[Probed]],
    device: torch.device,
    stack: int,
) -> "pd.DataFrame":
    """Measure runs in stacks of at most ``stack``, and store what came of each."""
    import pandas as pd

    rows = []
    for cohort in cohorts(records, device, stack):
        trials = [record.trial for record in cohort]
        data = tensors_for(trials[0], device)
        found = measure(cohort, data, device, stackable(trials[0], data))
        store_probes(db, {t.id: items for t, (_, items) in zip(trials, found, strict=True)})
        rows += [row for row, _ in found]
    return pd.DataFrame(rows)


def end_run(db: Database, run: str, records: Sequence[RunRecord]) -> RunRecord:
    """The run that is to be the end point of others.

    Raises:
        QueryError: If no run or several begin so.
        RequestError: If it is not completed, or of another model or dataset than one of them.
    """
    found = load_run(db, run)
    if found.status != "completed":
        raise RequestError(f"Run {found.trial.id} is {found.status}: it is no end point.")
    for record in records:
        check_end(record.trial, found.trial)
    return found


def cohorts(
    records: Sequence[RunRecord], device: torch.device, most: int
) -> Iterator[list[RunRecord]]:
    """The runs in stacks of one shape; alone where they cannot be stacked.

    Raises:
        RequestError: If one is not completed.
    """
    groups: dict[tuple[str, int], list[RunRecord]] = {}
    for record in records:
        if record.status != "completed":
            raise RequestError(f"Run {record.trial.id} is {record.status}: it has no end to probe.")
        if record.trial.parallel:
            raise RequestError(
                f"Run {record.trial.id} was trained on {record.trial.replicas} replicas; probes "
                "follow one model. Leave it out with --where."
            )
        key = record.trial.cohort_key, OPTIMIZERS.get(record.trial.optimizer).evaluations
        groups.setdefault(key, []).append(record)
    for group in groups.values():
        data = tensors_for(group[0].trial, device)
        alone = [r for r in group if not stackable(r.trial, data)]
        together = [r for r in group if stackable(r.trial, data)]
        yield from ([record] for record in alone)
        yield from (together[i : i + most] for i in range(0, len(together), most))


def stackable(trial: Trial, data: Tensors) -> bool:
    """Whether the trial may be trained in a stack."""
    module = build_module(trial, data.shape, data.num_classes)
    return OPTIMIZERS.get(trial.optimizer).stackable and can_stack(module)


def rsi_eb(
    records: Sequence[RunRecord],
    data: Tensors,
    device: torch.device,
    stacked: bool,
    tick: Tick,
    every: int = 1,
    null: bool = True,
    full_every: int = 0,
    end: str | RunRecord = "own",
) -> list[Probed]:
    """RSI and EB along the path: see ``oodbench.probes.path``."""
    trials = [record.trial for record in records]
    point = end_point(trials, data, device, stacked, tick, end)
    paths, again = record_paths(trials, data, device, stacked, point, tick, full_every)
    null = null and point is None  # elsewhere noise leads nowhere: gamma is 0 on average
    nulls = noise_paths(trials, paths, data, device, stacked, tick=tick) if null else []
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
    tick: Tick,
    end: str | RunRecord,
) -> torch.Tensor | None:
    """(K, P) or (1, P) end points; None for the trials' own."""
    if end == "own":
        return None
    if isinstance(end, RunRecord):
        return end_of([end.trial], data, device, stackable(end.trial, data), tick)
    return end_of([other_seed(trial) for trial in trials], data, device, stacked, tick)


def prefix_of(end: str | RunRecord) -> str:
    """How the metrics of a path begin, by its end point."""
    if isinstance(end, RunRecord):
        return f"path_to_{end.trial.id[:10]}_"
    return {"own": "path_", "seed": "path_seed_"}[end]


def median(values: Array) -> float:
    """Of those that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def end_sharpness(
    records: Sequence[RunRecord],
    data: Tensors,
    device: torch.device,
    stacked: bool,
    tick: Tick,
    examples: int = 512,
    rho: float = 0.05,
) -> list[Probed]:
    """Sharpness at the end: see ``oodbench.probes.sharpness``; on training examples.

    Of the loss in float32 for ``bf16`` too, whose steps a Hessian would only see as rounding.
    """
    trials = [record.trial for record in records]
    again = retrain(trials, data, device, stacked, tick=tick)
    module = build_module(trials[0], data.shape, data.num_classes).to(device).eval()
    starts = np.cumsum([0, *data.sizes])[:-1]
    sizes = [min(examples, size) for size in data.sizes]
    which = np.concatenate([s + np.arange(n) for s, n in zip(starts, sizes, strict=True)])
    indices = torch.from_numpy(which).to(device)
    weights = [again.run.weights(model) for model in range(len(trials))]
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


KINDS: dict[str, Callable[..., list[Probed]]] = {"rsi-eb": rsi_eb, "sharpness": end_sharpness}


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
