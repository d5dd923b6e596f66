"""Probing stored runs: they are trained again and measured, and what came of it is stored."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.probes.end_points import check_end
from oodbench.probes.kinds import ENDS, KINDS, stacks
from oodbench.records import RunRecord
from oodbench.results import Database, load_run, open_database, refuse_imported
from oodbench.results.probes import store_probes
from oodbench.training.precision import BF16, numerics
from oodbench.verbs.display import Display, Pace
from oodbench.verbs.query import query
from oodbench.workers.place import find_device
from oodbench.workers.trial_data import tensors_for


def probe(
    kind: str,
    db: str | Path,
    where: str | None = None,
    *,
    select: str | None = None,
    sweep: str | None = None,
    device: str = "auto",
    stack: int = 32,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Train completed runs again, measure something on the way, and store it with them.

    Args:
        kind: ``rsi-eb`` or ``sharpness``.
        db: URL or path of the database.
        where: A condition on the runs.
        select: A run rule, as in ``query``.
        sweep: Runs of this sweep only.
        device: Where to train.
        stack: Most models trained together.
        progress: Show how many runs are probed, and how far the training of the next is: as
            ``run_sweep`` does.
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
        place, rows = find_device(device), []
        with Probing(len(records), shown=progress) as shown:
            for cohort in cohorts(records, place, stack):
                first, ids = cohort[0].trial, [record.trial.id for record in cohort]
                data = tensors_for(first, place)
                stacked = stacks(first, data)
                with numerics(place, first.precision):
                    found = KINDS[kind](cohort, data, place, stacked, tell=shown.tell, **options)
                measured = (items for _, items in found)
                store_probes(database, dict(zip(ids, measured, strict=True)))
                rows += [row for row, _ in found]
                shown.add(len(cohort))
    return pd.DataFrame(rows)


class Probing:
    """Shows how many runs are probed, the pace, and how far the training of the next is."""

    def __init__(self, runs: int, *, shown: bool) -> None:
        self._display = Display("runs probed", shown=shown)
        self._pace = Pace(time.monotonic(), 0)
        self._done, self._runs = 0, runs

    def add(self, runs: int) -> None:
        """Count more probed runs."""
        self._done += runs
        self._pace.update(time.monotonic(), self._done)
        self.tell("")

    def tell(self, line: str) -> None:
        """Show what is being done, too."""
        texts = self._pace.texts(time.monotonic(), self._runs - self._done)
        self._display(self._done, self._runs, ", ".join([*texts, *([line] if line else [])]))

    def __enter__(self) -> "Probing":
        self._display.__enter__()
        self.tell("")
        return self

    def __exit__(self, *raised: object) -> None:
        self._display.__exit__()


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
        alone = [r for r in group if not stacks(r.trial, data)]
        together = [r for r in group if stacks(r.trial, data)]
        yield from ([record] for record in alone)
        yield from (together[i : i + most] for i in range(0, len(together), most))
