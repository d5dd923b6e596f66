"""DomainBed's output folders as runs of the database."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oodbench.algorithms import ALGORITHMS
from oodbench.errors import RequestError
from oodbench.importing.domainbed_lengths import lengths_of, summary
from oodbench.importing.facts import check_facts, facts_of
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import IMPORTED, Measurement, RunRecord, Scalar, Trial, hash_of
from oodbench.results import UNKNOWN, Imported, ImportedRuns, add_imported, open_database
from oodbench.results.domainbed_logs import (
    JOB,
    MOST,
    DomainBedRun,
    each_job_once,
    environment_names,
    nothing,
    read_runs,
)
from oodbench.results.imports import group_of

SOURCE = "domainbed"

ALGORITHM_NAMES = {"VREx": "vrex", "GroupDRO": "group_dro"}
"""Where ours is not DomainBed's in lower case. Algorithms that we do not have keep their names."""

SMALL_IMAGES = ("ColoredMNIST", "RotatedMNIST")
LARGE_IMAGES = ("VLCS", "PACS", "OfficeHome", "TerraIncognita", "DomainNet", "SVIRO")

PLACES = ("data_dir", "output_dir")
"""Arguments that say where things were, not what was done."""

LOSS = re.compile("loss|nll|penalty", re.IGNORECASE)
"""What is minimised, or is a part of that: one that is not finite is a run that diverged."""

NOT_KNOWN = (
    "how many examples each accuracy rests on",
    "the content of the data",
    "versions, machine and cost",
    "accuracy on ID test examples: DomainBed has no ID test part, so ID accuracy is on the "
    "validation part that training-domain selection reads",
)


def import_domainbed(
    folder: str | Path,
    db: str | Path,
    *,
    name: str | None = None,
    unfinished: str = "skip",
    **facts: Any,
) -> ImportedRuns:
    """Put the runs of a DomainBed sweep into a database; twice adds nothing.

    Of a training environment ``in`` has the role ``train`` and ``out`` has ``id_val``; of a test
    environment ``in`` has ``ood_test`` and ``out`` has ``oracle_val``. There is no ``id_test``.

    A run without the file ``done`` is complete if its log reaches the last step: see
    ``oodbench.importing.domainbed_lengths``. One that logged a loss which is not finite diverged,
    however long it is.

    Args:
        folder: The sweep's ``--output_dir``, or any folder that has runs at any depth.
        db: URL or path of the database; created if missing.
        name: Name of the sweep in the database; the folder's by default.
        unfinished: What becomes of runs that stop before their last step: ``skip`` leaves them out,
            ``keep`` has them as failed runs, which no score of a longer one is compared with.
        facts: What DomainBed does not log: ``shift`` (``correlation`` or ``diversity``),
            ``chance``, ``num_classes``.

    Raises:
        RequestError: No such folder, no run in it can be read, a fact is none, or the database has
            another sweep of that name.
        UnknownNameError: If there is no such way with unfinished runs.
        DatabaseError: If the database cannot be used.
    """
    given = check_facts(facts)
    runs, skipped = read_runs(folder, whole=True)
    sound = [run for run in runs if not _inconsistent(run)]
    lengths = lengths_of([run for run in sound if not _not_finite(run)])
    short, notes = summary(lengths, unfinished)
    kept, repeated = each_job_once([run for run in sound if run.folder not in lengths.short], True)
    if unfinished == "keep":
        cut = [run for run in sound if run.folder in lengths.short]
        ended = {(run.job, repr(run.hparams)) for run in kept}  # what was begun again, and ended
        cut = [run for run in cut if (run.job, repr(run.hparams)) not in ended]
        cut, again = each_job_once(cut, True)
        kept, repeated = [*kept, *cut], [*repeated, *again]
    bad = [f"{run.folder}: {problem}" for run in runs if (problem := _inconsistent(run))]
    lines = [*skipped, *bad, *repeated, *short]
    if not kept:
        raise RequestError(nothing(Path(folder), lines))
    records = [_record(run, lengths.short.get(run.folder, "")) for run in kept]
    # Folders have names without a meaning; leave-one-out runs come first, then those of more sides.
    records.sort(key=lambda record: (len(record.trial.test_environments), group_of(record)))
    imported = Imported(
        SOURCE,
        name or Path(folder).resolve().name,
        {"folder": Path(folder).resolve().name},
        records,
        {
            group_of(record): facts_of(
                record.trial, record.provenance["imported"]["environments"], given
            )
            for record in records
        },
        sampler="random",  # as DomainBed's sweep script does it
        skipped=tuple(lines),
        notes=tuple(notes),
    )
    with open_database(db, create=True) as database:
        return add_imported(database, imported)


def _inconsistent(run: DomainBedRun) -> str:
    """Why a log cannot be that of one run; empty if it can."""
    if not run.hparams:
        return "it does not say its hparams."
    for number, line in enumerate(run.lines, start=1):
        if line.get("hparams") != run.lines[0].get("hparams"):
            return f"line {number} has other hparams than those before it."
        if line["args"] != run.lines[0]["args"]:
            return f"line {number} has other arguments than those before it."
    return ""


def _record(run: DomainBedRun, stopped: str) -> RunRecord:
    """A run; ``stopped`` is why it did not end, if it did not."""
    args, job = run.lines[0]["args"], dict(zip(JOB, run.job, strict=True))
    number = 1 + max(row["environment"] for row in run.accuracies)
    names = environment_names(job["dataset"], number)
    trial = _trial(run, args, job)
    known = {
        "from": SOURCE,
        "folder": run.folder,
        "job": job,
        "args": {key: value for key, value in args.items() if key not in PLACES},
        "hparams": dict(run.hparams),
        "environments": list(names),
        "unknown": list(NOT_KNOWN),
    }
    bad = _not_finite(run)
    status = "diverged" if bad else "failed" if stopped else "completed"
    reason = f"DomainBed logged a {bad}." if bad else stopped
    measured = tuple(_measurements(run, trial, names))
    return RunRecord(trial, status, reason, measured, {"imported": known})  # type: ignore[arg-type]


def _trial(run: DomainBedRun, args: Mapping[str, Any], job: Mapping[str, Any]) -> Trial:
    dataset = str(job["dataset"])
    hparams = {k: _scalar(v) for k, v in run.hparams.items() if v is not None and k != "optimizer"}
    size = hparams.pop("batch_size", None)
    seed = args.get("seed")
    steps = sorted(int(line["step"]) + 1 for line in run.lines)
    content = {k: v for k, v in args.items() if k not in PLACES}
    said = [json.dumps(part, sort_keys=True) for part in (content, dict(run.hparams))]
    kept = ("step", "environment", "split", "accuracy")
    measured = [repr(tuple(row[name] for name in kept)) for row in run.accuracies]
    return Trial(
        dataset=dataset,
        fingerprint="",
        test_environments=tuple(sorted(args["test_envs"])),
        model=_model(dataset, run.hparams),
        algorithm=_ours(str(job["algorithm"]), ALGORITHM_NAMES, {s.name for s in ALGORITHMS}),
        optimizer=_ours(str(job["optimizer"]), {}, {s.name for s in OPTIMIZERS}),
        hparams=hparams,
        steps=steps[-1],
        batch={"per_environment": size} if type(size) is int else {},
        evaluate_every=steps[1] - steps[0] if len(steps) > 1 else steps[0],
        seed=seed if type(seed) is int and 0 <= seed < MOST else -1,
        data_seed=job["trial_seed"],
        imported=hash_of([*said, *measured]),
        protocol=IMPORTED + SOURCE,
    )


def _ours(name: str, names: Mapping[str, str], known: set[str]) -> str:
    """What the same thing is called here; its own name if there is none."""
    ours = names.get(name, name.lower())
    return ours if ours in known else name


def _model(dataset: str, hparams: Mapping[str, Any]) -> str:
    """The featurizer that DomainBed's ``networks.py`` takes, where that is certain."""
    if dataset in SMALL_IMAGES:
        return "mnist_cnn"
    plain = dataset in LARGE_IMAGES and type(hparams.get("resnet18")) is bool
    if not plain or hparams.get("vit"):
        return UNKNOWN
    return "resnet18" if hparams["resnet18"] else "resnet50"


def _scalar(value: Any) -> Scalar:
    """A hyperparameter's value; lists and the like as JSON, and so are infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def _not_finite(run: DomainBedRun) -> str:
    """The first loss that was no longer a number, and where; empty if all always were."""
    for line in run.lines:
        for key, value in line.items():
            if LOSS.search(key) and _is_not_finite(value):
                return f"{key} that is not finite at its step {line['step']}"
    return ""


def _is_not_finite(value: Any) -> bool:
    """Whether a number, or a logger's text in its place, is not finite."""
    if isinstance(value, str):
        return value.strip(" +-").lower() in ("nan", "inf", "infinity")
    return type(value) is float and not math.isfinite(value)


def _measurements(run: DomainBedRun, trial: Trial, names: tuple[str, ...]) -> Iterator[Measurement]:
    """Accuracies, and the training loss; DomainBed counts steps from 0."""
    roles = {True: {"in": "ood_test", "out": "oracle_val"}, False: {"in": "train", "out": "id_val"}}
    for row in run.accuracies:
        role = roles[row["environment"] in trial.test_environments][row["split"]]
        step, name, value = row["step"] + 1, names[row["environment"]], row["accuracy"]
        yield Measurement(step, name, row["split"], role, "accuracy", value, 0)
    for line in run.lines:
        if type(line.get("loss")) in (int, float):
            loss = float(line["loss"])
            yield Measurement(int(line["step"]) + 1, "", "train", "train", "loss", loss, 0)
