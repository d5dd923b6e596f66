"""DomainBed's output folders as tables: what was measured, and what its rules may choose from.

DomainBed (facebookresearch/DomainBed) leaves a folder for each run with a line of JSON for each
checkpoint in ``results.jsonl``. A training environment's ``out`` part is validation; of a test
environment ``in`` is what is reported, and ``out`` what only the oracle reads.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.select import LeftOut, left_out_mean

RESULTS = "results.jsonl"
JOB = ("dataset", "algorithm", "trial_seed", "hparams_seed", "test_environments")
"""What tells one run of a sweep from another."""

CHECKPOINT = ("run", *JOB, "step")
"""What tells one checkpoint from another."""

KINDS = {
    "dataset": str,
    "algorithm": str,
    "trial_seed": int,
    "hparams_seed": int,
    "test_envs": list,
}
"""The arguments that every line must have, with their types."""

ACCURACY = re.compile(r"env(\d+)_(in|out)_acc")


@dataclass(frozen=True)
class DomainBedSweep:
    """What a folder of DomainBed's holds.

    Attributes:
        accuracies: A row for each run, step, environment and split: ``run`` (its folder's name),
            ``dataset``, ``algorithm``, ``trial_seed``, ``hparams_seed``, ``test_environments`` (as
            text, such as ``"1,2"``), ``step``, ``environment`` (index), ``split`` (``in`` or
            ``out``) and ``accuracy``, a fraction.
        skipped: One sentence for each file that was left out, and why.
    """

    accuracies: pd.DataFrame
    skipped: tuple[str, ...]


class ForeignError(ValueError):
    """A file that is not what DomainBed writes; its message says where and how."""


def read_domainbed(folder: str | Path) -> DomainBedSweep:
    """Read the runs in a sweep's output folder, finished or not, as DomainBed does.

    A file is left out whole and named, never mended, if a line is torn or lacks what DomainBed
    writes, if a step is there twice (several runs wrote to it), or if another folder holds the same
    job: which of them counts cannot be known.

    Raises:
        RequestError: No such folder, or no run in it can be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RequestError(f"{root} is no folder. Name the --output_dir of a DomainBed sweep.")
    runs: dict[str, list[dict[str, Any]]] = {}
    skipped = []
    for path in sorted(root.glob(f"*/{RESULTS}")):
        try:
            runs[path.parent.name] = list(_read(path))
        except (ForeignError, OSError, UnicodeDecodeError) as error:
            skipped.append(f"{path.parent.name}/{RESULTS}: {error}")
    jobs: dict[tuple[Any, ...], list[str]] = {}
    for run, rows in runs.items():
        jobs.setdefault(tuple(rows[0][name] for name in JOB), []).append(run)
    for same in jobs.values():
        if len(same) > 1:
            for run in same:
                del runs[run]
            skipped.append(f"{', '.join(same)}: the same job; keep one of these folders.")
    if not runs:
        told = "\n".join(f"  {line}" for line in skipped) or f"  it has no */{RESULTS}"
        raise RequestError(f"{root} has no run of DomainBed's that can be read:\n{told}")
    rows = [{"run": run, **row} for run, found in runs.items() for row in found]
    return DomainBedSweep(pd.DataFrame(rows), tuple(skipped))


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
    left_out: dict[LeftOut, float] = {
        (_configuration(row), _tested(row), e): of["in"][e]
        for row, of in runs
        for e in _tested(row)
    }
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
        "id_val": sum(validation) / len(validation),
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


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The accuracies of one run.

    Raises:
        ForeignError: If it is not what DomainBed writes, whole.
    """
    text = path.read_text(encoding="utf-8")
    steps: set[int] = set()
    jobs = set()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            raise ForeignError(f"line {number} is torn or no JSON.") from None
        rows = list(_accuracies(record, number))
        jobs.add(tuple(rows[0][name] for name in JOB))
        if rows[0]["step"] in steps or len(jobs) > 1:
            raise ForeignError(f"line {number} is of another run than those before it.")
        steps.add(rows[0]["step"])
        yield from rows
    if not steps:
        raise ForeignError("it is empty.")


def _accuracies(record: Any, number: int) -> Iterator[dict[str, Any]]:
    """What one line says, checked."""
    args = record.get("args") if isinstance(record, Mapping) else None
    args = args if isinstance(args, Mapping) else {}
    for name, kind in KINDS.items():
        if type(args.get(name)) is not kind:
            raise ForeignError(f"line {number} has no argument {name} as DomainBed writes it.")
    if type(record.get("step")) not in (int, float):
        raise ForeignError(f"line {number} has no step.")
    found = {
        (int(match[1]), match[2]): value
        for key, value in record.items()
        if (match := ACCURACY.fullmatch(key))
    }
    environments = range(len(found) // 2)
    tested = args["test_envs"]
    whole = set(found) == {(e, split) for e in environments for split in ("in", "out")}
    if not whole or not 0 < len(set(tested) & set(environments)) == len(tested) < len(found) / 2:
        raise ForeignError(
            f"line {number} has not the in and out accuracy of each environment, some tested."
        )
    for value in found.values():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise ForeignError(f"line {number} has {value!r} for an accuracy.")
    job = {name: args[name] for name in JOB if name in args}
    job["test_environments"] = ",".join(map(str, sorted(tested)))
    for (environment, split), value in sorted(found.items()):
        where = {"step": int(record["step"]), "environment": environment, "split": split}
        yield {**job, **where, "accuracy": float(value)}
