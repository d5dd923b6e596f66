"""DomainBed's output folders as runs of the database."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oodbench.algorithms import ALGORITHMS
from oodbench.importing.facts import check_facts, facts_of
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import IMPORTED, Measurement, RunRecord, Scalar, Trial, hash_of
from oodbench.results import UNKNOWN, Imported, ImportedRuns, add_imported, open_database
from oodbench.results.domainbed_logs import JOB, DomainBedRun, environment_names, read_runs
from oodbench.results.imports import group_of

SOURCE = "domainbed"

ALGORITHM_NAMES = {"VREx": "vrex", "GroupDRO": "group_dro"}
"""Where ours is not DomainBed's in lower case. Algorithms that we do not have keep their names."""

SMALL_IMAGES = ("ColoredMNIST", "RotatedMNIST")
LARGE_IMAGES = ("VLCS", "PACS", "OfficeHome", "TerraIncognita", "DomainNet", "SVIRO")

PLACES = ("data_dir", "output_dir")
"""Arguments that say where things were, not what was done."""

NOT_KNOWN = (
    "how many examples each accuracy rests on",
    "the content of the data",
    "versions, machine and cost",
    "accuracy on ID test examples: DomainBed has no ID test part, so ID accuracy is on the "
    "validation part that training-domain selection reads",
)


def import_domainbed(
    folder: str | Path, db: str | Path, *, name: str | None = None, **facts: Any
) -> ImportedRuns:
    """Put the finished runs of a DomainBed sweep into a database; twice adds nothing.

    Of a training environment ``in`` has the role ``train`` and ``out`` has ``id_val``; of a test
    environment ``in`` has ``ood_test`` and ``out`` has ``oracle_val``. There is no ``id_test``.

    Args:
        folder: The sweep's ``--output_dir``.
        db: URL or path of the database; created if missing.
        name: Of the sweep in the database; the folder's by default.
        facts: What DomainBed does not log: ``shift`` (``correlation`` or ``diversity``),
            ``chance``, ``num_classes``.

    Raises:
        RequestError: No such folder, no run in it can be read, a fact is none, or the database has
            another sweep of that name.
        DatabaseError: If the database cannot be used.
    """
    given = check_facts(facts)
    runs, skipped = read_runs(folder, finished=True)
    told, records = list(skipped), []
    for run in runs:
        problem = _inconsistent(run)
        if problem:
            told.append(f"{run.folder}: {problem}")
        else:
            records.append(_record(run))
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
        skipped=tuple(told),
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


def _record(run: DomainBedRun) -> RunRecord:
    args, job = run.lines[0]["args"], dict(zip(JOB, run.job, strict=True))
    number = 1 + max(row["environment"] for row in run.accuracies)
    names = environment_names(job["dataset"], number)
    trial = _trial(run, args, job)
    bad = _not_finite(run)
    known = {
        "from": SOURCE,
        "folder": run.folder,
        "job": job,
        "args": {key: value for key, value in args.items() if key not in PLACES},
        "hparams": dict(run.hparams),
        "environments": list(names),
        "unknown": list(NOT_KNOWN),
    }
    reason = f"DomainBed logged a loss that is not finite at its step {bad}." if bad else ""
    status = "diverged" if bad else "completed"
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
        seed=seed if type(seed) is int and seed >= 0 else -1,
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
    """The step at which the loss was no longer a number; empty if it always was one."""
    for line in run.lines:
        loss: Any = line.get("loss")
        if type(loss) in (int, float) and not math.isfinite(loss):
            return str(line["step"])
    return ""


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
