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
"""Fields that identify a run of a sweep."""

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

ACCURACY = re.compile(r"env(\d{1,4})_(in|out)_acc", re.ASCII)

MOST = 2**63
"""What a database can keep of a whole number."""

ENVIRONMENTS = {
    "Debug28": ("0", "1", "2"),
    "Debug224": ("0", "1", "2"),
    "ColoredMNIST": ("+90%", "+80%", "-90%"),
    "RotatedMNIST": ("0", "15", "30", "45", "60", "75"),
    "VLCS": ("C", "L", "S", "V"),
    "PACS": ("A", "C", "P", "S"),
    "OfficeHome": ("A", "C", "P", "R"),
    "TerraIncognita": ("L100", "L38", "L43", "L46"),
    "DomainNet": ("clip", "info", "paint", "quick", "real", "sketch"),
    "SVIRO": (
        *("aclass", "escape", "hilux", "i3", "lexus", "tesla", "tiguan", "tucson", "x5", "zoe"),
    ),
    "WILDSCamelyon": tuple(f"hospital_{i}" for i in range(5)),
    "WILDSFMoW": tuple(f"region_{i}" for i in range(6)),
    **{
        f"Spawrious{kind}_{level}": ("Test", "SC_group_1", "SC_group_2")
        for kind in ("O2O", "M2M")
        for level in ("easy", "medium", "hard")
    },
}
"""What DomainBed calls them, its datasets in its order (facebookresearch/DomainBed at b93c22a);
those of other datasets are known by their index."""


@dataclass(frozen=True)
class DomainBedRun:
    """What one run logged.

    Attributes:
        folder: Where it is within the sweep's.
        done: Whether it has the file that DomainBed writes at its end.
        lines: What each line of its log says, in order.
        accuracies: A row for each checkpoint, environment and split: the columns of ``JOB``,
            ``step``, ``environment`` (index), ``split`` (``in`` or ``out``) and ``accuracy``.
    """

    folder: str
    done: bool
    lines: Sequence[Mapping[str, Any]]
    accuracies: Sequence[Mapping[str, Any]]

    @property
    def job(self) -> tuple[Any, ...]:
        """What it was to do."""
        return tuple(self.accuracies[0][name] for name in JOB)

    @property
    def hparams(self) -> Mapping[str, Any]:
        """The run's hyperparameters; empty if the log has none."""
        found = self.lines[0].get("hparams")
        return found if isinstance(found, Mapping) else {}

    @property
    def last(self) -> int:
        """The last step that it logged, from 0."""
        return max(int(row["step"]) for row in self.accuracies)


class ForeignError(ValueError):
    """A file that is not what DomainBed writes; its message says where and how."""


def environment_names(dataset: str, number: int) -> tuple[str, ...]:
    """What the ``number`` environments of a dataset are called."""
    names = ENVIRONMENTS.get(dataset, ())
    return names if len(names) == number else tuple(map(str, range(number)))


def read_runs(
    folder: str | Path, whole: bool = False
) -> tuple[tuple[DomainBedRun, ...], tuple[str, ...]]:
    """The runs in a sweep's output folder, at any depth, and one sentence for each left out.

    A run is left out and named, never repaired, if a line is torn or lacks what DomainBed writes,
    if a step is there twice (several runs wrote to it), or if another folder holds the same job:
    which of them counts cannot be known.

    Args:
        folder: The sweep's ``--output_dir``, or that of one run.
        whole: Whether to name also what is no run, and leave jobs that are there twice to
            ``each_job_once``.

    Raises:
        RequestError: No such folder, or no run in it can be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RequestError(f"{root} is no folder. Name the --output_dir of a DomainBed sweep.")
    logs = sorted(root.rglob(RESULTS))
    runs: list[DomainBedRun] = []
    skipped = list(_foreign(root, logs)) if whole else []
    for path in logs:
        inside = path.parent.relative_to(root).as_posix()
        name = root.resolve().name if inside == "." else inside
        try:
            runs.append(_read(path, name))
        except (ForeignError, OSError, UnicodeDecodeError) as error:
            skipped.append(f"{name}/{RESULTS}: {error}")

    if not whole:
        runs, repeated = each_job_once(runs)
        skipped += repeated
    if not runs:
        raise RequestError(nothing(root, skipped))
    return tuple(runs), tuple(skipped)


def nothing(root: Path, skipped: Sequence[str]) -> str:
    """The error that no run can be read, and why."""
    shown = "\n".join(f"  {line}" for line in skipped) or f"  it has no {RESULTS}"
    return f"{root} has no run of DomainBed's that can be read:\n{shown}"


def each_job_once(
    runs: Sequence[DomainBedRun], by_hparams: bool = False
) -> tuple[list[DomainBedRun], list[str]]:
    """The runs that are alone with their job, and a sentence for each job of several.

    Args:
        runs: Any.
        by_hparams: Whether runs that differ in hyperparameters alone have different jobs, as in
            forks that try several values of one under the same seeds.
    """
    jobs: dict[tuple[Any, ...], list[DomainBedRun]] = {}
    for run in runs:
        values = [repr(sorted(run.hparams.items()))] if by_hparams else []
        jobs.setdefault((*run.job, *values), []).append(run)
    kept = [same[0] for same in jobs.values() if len(same) == 1]
    repeated = [
        f"{', '.join(run.folder for run in same)}: the same job; keep one of these folders."
        for same in jobs.values()
        if len(same) > 1
    ]
    return kept, repeated


def _foreign(root: Path, logs: Sequence[Path]) -> Iterator[str]:
    """What lies in a sweep's folder and is no run; hidden names are not looked at."""
    if root / RESULTS in logs:  # the folder of one run
        return
    inside = {log.relative_to(root).parts[0] for log in logs}
    for path in sorted(root.iterdir()):
        if path.name in inside or path.name == TABLES or path.name.startswith("."):
            continue
        if path.is_dir():
            yield f"{path.name}: no run of DomainBed's, for it has no {RESULTS}."
        else:
            yield f"{path.name}: no folder of a run."


def _read(path: Path, name: str) -> DomainBedRun:
    """Read the folder of a run.

    Raises:
        ForeignError: If it is not what DomainBed writes, whole.
    """
    text = path.read_bytes().decode("utf-8")
    lines: list[Mapping[str, Any]] = []
    found: list[dict[str, Any]] = []
    steps: set[int] = set()
    jobs = set()
    # Only a line feed ends a line: a text in one may have other separators of lines.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        record = _record(line, number)
        rows = list(_accuracies(record, number))
        jobs.add(tuple(rows[0][name] for name in JOB))
        if rows[0]["step"] in steps or len(jobs) > 1:
            raise ForeignError(f"line {number} is of another run than those before it.")
        steps.add(rows[0]["step"])
        lines.append(record)
        found += rows
    return DomainBedRun(name, (path.parent / DONE).is_file(), lines, found)


def _record(line: str, number: int) -> Any:
    if not line.strip() and number == 1:
        raise ForeignError("it is empty.")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ForeignError(f"line {number} is cut off or is not JSON.") from None
    if "\\u" in line and _has_no_place(record):
        raise ForeignError(f"line {number} has an invalid character.")
    return record


def _has_no_place(record: Any) -> bool:
    """Whether a text has a zero or half of a surrogate pair, which no database keeps."""
    text = json.dumps(record, ensure_ascii=False)
    return "\\u0000" in text or any("\ud800" <= one <= "\udfff" for one in text)


def _accuracies(record: Any, number: int) -> Iterator[dict[str, Any]]:
    """What one line says, checked."""
    args = record.get("args") if isinstance(record, Mapping) else None
    args = args if isinstance(args, Mapping) else {}
    for name, kind in KINDS.items():
        if type(args.get(name)) is not kind:
            raise ForeignError(f"line {number} has no argument {name} as DomainBed writes it.")
    for name in ("trial_seed", "hparams_seed"):
        if not -MOST <= args[name] < MOST:
            raise ForeignError(f"line {number} has {args[name]} for {name}.")
    step = record.get("step")
    if type(step) not in (int, float) or not 0 <= step < MOST:
        raise ForeignError(f"line {number} has no step.")
    found = {
        (int(match[1]), match[2]): value
        for key, value in record.items()
        if (match := ACCURACY.fullmatch(key))
    }
    environments = range(len(found) // 2)
    tested = args["test_envs"]
    if any(type(one) is not int for one in tested):
        raise ForeignError(f"line {number} has {tested} for test_envs.")
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
        where = {"step": int(step), "environment": environment, "split": split}
        yield {**job, **where, "accuracy": float(value)}
