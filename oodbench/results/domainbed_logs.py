"""DomainBed's output folders: what each run logged, checked.

DomainBed (facebookresearch/DomainBed) leaves a folder for each run with a line of JSON for each
checkpoint in ``results.jsonl``, and a file ``done`` at its end. A training environment's ``out``
part is validation; of a test environment ``in`` is what is reported, and ``out`` what only the
oracle reads.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError

RESULTS = "results.jsonl"
DONE = "done"
TABLES = "results.txt"
"""What ``collect_results`` writes beside the runs."""

JOB = ("dataset", "algorithm", "optimizer", "trial_seed", "hparams_seed", "test_environments")
"""What tells one run of a sweep from another."""

OPTIMIZER = "adam"
"""DomainBed's own; forks have a hyperparameter or an argument ``optimizer``."""

KINDS = {
    "dataset": str,
    "algorithm": str,
    "trial_seed": int,
    "hparams_seed": int,
    "test_envs": list,
}
"""The arguments that every line must have, with their types."""

ACCURACY = re.compile(r"env(\d+)_(in|out)_acc")

ENVIRONMENTS = {
    "ColoredMNIST": ("+90%", "+80%", "-90%"),
    "RotatedMNIST": ("0", "15", "30", "45", "60", "75"),
    "VLCS": ("C", "L", "S", "V"),
    "PACS": ("A", "C", "P", "S"),
    "OfficeHome": ("A", "C", "P", "R"),
    "TerraIncognita": ("L100", "L38", "L43", "L46"),
    "DomainNet": ("clip", "info", "paint", "quick", "real", "sketch"),
}
"""What DomainBed calls them; those of other datasets are told by their index."""


@dataclass(frozen=True)
class DomainBedRun:
    """What one run logged.

    Attributes:
        folder: The name of its folder.
        lines: What each line of its log says, in order.
        accuracies: A row for each checkpoint, environment and split: the columns of ``JOB``,
            ``step``, ``environment`` (index), ``split`` (``in`` or ``out``) and ``accuracy``.
    """

    folder: str
    lines: Sequence[Mapping[str, Any]]
    accuracies: Sequence[Mapping[str, Any]]

    @property
    def job(self) -> tuple[Any, ...]:
        """What it was to do."""
        return tuple(self.accuracies[0][name] for name in JOB)

    @property
    def hparams(self) -> Mapping[str, Any]:
        """Its hyperparameters; empty if it does not say them."""
        found = self.lines[0].get("hparams")
        return found if isinstance(found, Mapping) else {}


class ForeignError(ValueError):
    """A file that is not what DomainBed writes; its message says where and how."""


def environment_names(dataset: str, number: int) -> tuple[str, ...]:
    """What the ``number`` environments of a dataset are called."""
    names = ENVIRONMENTS.get(dataset, ())
    return names if len(names) == number else tuple(map(str, range(number)))


def read_runs(
    folder: str | Path, finished: bool = False
) -> tuple[tuple[DomainBedRun, ...], tuple[str, ...]]:
    """The runs in a sweep's output folder, and one sentence for each that was left out.

    A run is left out whole and named, never mended, if a line is torn or lacks what DomainBed
    writes, if a step is there twice (several runs wrote to it), or if another folder holds the same
    job: which of them counts cannot be known.

    Args:
        folder: The sweep's ``--output_dir``.
        finished: Whether to leave out, and name, also runs that did not end and what is no run.

    Raises:
        RequestError: No such folder, or no run in it can be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RequestError(f"{root} is no folder. Name the --output_dir of a DomainBed sweep.")
    runs, skipped = [], list(_foreign(root)) if finished else []
    for path in sorted(root.glob(f"*/{RESULTS}")):
        name = path.parent.name
        if finished and not (path.parent / DONE).is_file():
            skipped.append(f"{name}: it did not end, for it has no file {DONE!r}.")
            continue
        try:
            runs.append(_read(path))
        except (ForeignError, OSError, UnicodeDecodeError) as error:
            skipped.append(f"{name}/{RESULTS}: {error}")

    kept, repeated = _each_job_once(runs, finished)
    skipped += repeated
    if not kept:
        told = "\n".join(f"  {line}" for line in skipped) or f"  it has no */{RESULTS}"
        raise RequestError(f"{root} has no run of DomainBed's that can be read:\n{told}")
    return kept, tuple(skipped)


def _each_job_once(
    runs: Sequence[DomainBedRun], by_hparams: bool
) -> tuple[tuple[DomainBedRun, ...], list[str]]:
    """The runs that are alone with their job, and a sentence for each job of several."""
    jobs: dict[tuple[Any, ...], list[DomainBedRun]] = {}
    for run in runs:
        # Forks try several values of a hyperparameter under the same seeds.
        values = [repr(sorted(run.hparams.items()))] if by_hparams else []
        jobs.setdefault((*run.job, *values), []).append(run)
    kept = tuple(same[0] for same in jobs.values() if len(same) == 1)
    told = [
        f"{', '.join(run.folder for run in same)}: the same job; keep one of these folders."
        for same in jobs.values()
        if len(same) > 1
    ]
    return kept, told


def _foreign(root: Path) -> Iterator[str]:
    """What lies in a sweep's folder and is no run."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not (path / RESULTS).is_file():
            yield f"{path.name}: no run of DomainBed's, for it has no {RESULTS}."
        elif not path.is_dir() and path.name != TABLES:
            yield f"{path.name}: no folder of a run."


def _read(path: Path) -> DomainBedRun:
    """One run.

    Raises:
        ForeignError: If it is not what DomainBed writes, whole.
    """
    text = path.read_text(encoding="utf-8")
    lines: list[Mapping[str, Any]] = []
    found: list[dict[str, Any]] = []
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
        lines.append(record)
        found += rows
    if not steps:
        raise ForeignError("it is empty.")
    return DomainBedRun(path.parent.name, lines, found)


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
    hparams = record.get("hparams")
    named = hparams if isinstance(hparams, Mapping) and "optimizer" in hparams else args
    job = {**args, "optimizer": named.get("optimizer", OPTIMIZER)}
    if not isinstance(job["optimizer"], str):
        raise ForeignError(f"line {number} has {job['optimizer']!r} for an optimizer.")
    job = {name: job[name] for name in JOB if name in job}
    job["test_environments"] = ",".join(map(str, sorted(tested)))
    for (environment, split), value in sorted(found.items()):
        where = {"step": int(record["step"]), "environment": environment, "split": split}
        yield {**job, **where, "accuracy": float(value)}
