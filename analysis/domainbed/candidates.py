"""DomainBed's output folders as tables: what was measured, and what its rules may choose from.

DomainBed (facebookresearch/DomainBed) leaves a folder for each run with a line of JSON for each
checkpoint in ``results.jsonl``. A training environment's ``out`` part is validation; of a test
environment ``in`` is what is reported, and ``out`` what only the oracle reads.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oodbench.results import Database, open_database
from oodbench.results.domainbed_logs import JOB, read_runs
from oodbench.results.imports import domainbed_accuracies
from oodbench.results.select import LeftOut, left_out_mean

CHECKPOINT = ("run", *JOB, "step")
"""Columns that identify a checkpoint."""


@dataclass(frozen=True)
class DomainBedSweep:
    """What a folder of DomainBed's holds.

    Attributes:
        accuracies: A row for each run, step, environment and split: ``run`` (its folder's name),
            ``dataset``, ``algorithm``, ``optimizer``, ``trial_seed``, ``hparams_seed``,
            ``test_environments`` (as text, such as ``"1,2"``), ``step``, ``environment`` (index),
            ``split`` (``in`` or ``out``) and ``accuracy``, a fraction.
        skipped: One sentence for each file that was left out, and why.
    """

    accuracies: pd.DataFrame
    skipped: tuple[str, ...]


def read_domainbed(folder: str | Path) -> DomainBedSweep:
    """Read the runs in a sweep's output folder, finished or not, as DomainBed does.

    What is not whole is left out and named: see ``oodbench.results.domainbed_logs.read_runs``.

    Raises:
        RequestError: No such folder, or no run in it can be read.
    """
    runs, skipped = read_runs(folder)
    rows = [{"run": run.folder, **row} for run in runs for row in run.accuracies]
    return DomainBedSweep(pd.DataFrame(rows), skipped)


def stored_domainbed(db: str | Path | Database, sweep: str | None = None) -> DomainBedSweep:
    """A DomainBed sweep from runs that ``oodbench import domainbed`` put into a database.

    ``run`` is the run's id there.

    Args:
        db: URL or path of the database, or an open one.
        sweep: Only runs of this sweep.

    Raises:
        QueryError: If no run was imported from DomainBed.
        UnknownNameError: If there is no such sweep.
    """
    if isinstance(db, Database):
        return DomainBedSweep(pd.DataFrame(domainbed_accuracies(db, sweep)), ())
    with open_database(db, read_only=True) as database:
        return stored_domainbed(database, sweep)


def domainbed_candidates(accuracies: pd.DataFrame) -> pd.DataFrame:
    """A row for each checkpoint of each run, with the scores that selection rules read.

    ``oodbench.results.select.select`` chooses among them, by ``dataset``, ``algorithm``,
    ``trial_seed`` and ``test_environments``.

    Args:
        accuracies: See ``DomainBedSweep``.

    Returns:
        The columns that name a run, ``step``, ``status`` (``completed``), ``id_val`` and
        ``worst_group_val`` (mean and smallest ``out`` accuracy over training environments),
        ``oracle_val`` and ``ood`` (mean ``out`` and ``in`` accuracy over test environments), and
        ``leave_one_environment_out``: DomainBed's, the ``in`` accuracies at the same step of the
        runs that leave one more environment out.
    """
    runs = [
        (dict(zip(CHECKPOINT, key, strict=True)), _by_environment(table))
        for key, table in accuracies.groupby(list(CHECKPOINT), sort=False)
    ]
    left_out: dict[LeftOut, float] = {}
    for row, of in runs:
        for e in _tested(row):
            key = _configuration(row), _tested(row), e
            left_out[key] = math.nan if key in left_out else of["in"][e]  # which one is not known
    return pd.DataFrame([{**row, **_scores(row, of, left_out)} for row, of in runs])


def _scores(
    row: Mapping[str, Any], of: Mapping[str, Mapping[int, float]], left_out: Mapping[LeftOut, float]
) -> dict[str, Any]:
    """What selection rules read of one checkpoint."""
    tested = _tested(row)
    validation = [value for e, value in of["out"].items() if e not in tested]
    by_leaving_out = left_out_mean(left_out, _configuration(row), tested, of["out"])
    return {
        "status": "completed",
        "id_val": float(np.mean(validation)),  # as DomainBed adds them up, to the last bit
        "worst_group_val": min(validation),
        "leave_one_environment_out": math.nan if by_leaving_out is None else by_leaving_out,
        "oracle_val": sum(of["out"][e] for e in tested) / len(tested),
        "ood": sum(of["in"][e] for e in tested) / len(tested),
    }


def _by_environment(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Split -> environment -> accuracy."""
    return {
        str(split): dict(zip(rows["environment"], rows["accuracy"], strict=True))
        for split, rows in table.groupby("split")
    }


def _tested(row: Mapping[str, Any]) -> frozenset[int]:
    return frozenset(map(int, row["test_environments"].split(",")))


def _configuration(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the runs that leave one more environment out have in common, at one step."""
    return tuple(row[name] for name in CHECKPOINT if name not in ("run", "test_environments"))
