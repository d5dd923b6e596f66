"""A table of models with ID and OOD accuracies as runs of the database."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.importing.facts import as_number, facts_of
from oodbench.importing.mapping import HPARAMS, SCORES, Fields, fields_of
from oodbench.importing.sheet import Sheet, read_sheet
from oodbench.records import IMPORTED, STATUSES, Measurement, RunRecord, Scalar, Trial, hash_of
from oodbench.results import UNKNOWN, Imported, ImportedRuns, add_imported, open_database
from oodbench.results.imports import group_of

ENVIRONMENTS = ("id", "ood")
"""Of a table that says nothing of test environments: one to train on, one to test on."""

SHOWN = 3
"""How many rows an error names."""


class BadRowError(ValueError):
    """What is wrong with one row."""


def import_csv(
    file: str | Path,
    db: str | Path,
    columns: Mapping[str, str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    percent: bool = False,
    separator: str | None = None,
) -> ImportedRuns:
    """Put a table of models with ID and OOD accuracies into a database; twice adds nothing.

    Args:
        file: A CSV file with a header and a row a model.
        db: URL or path of the database; created if missing.
        columns: Field -> its column, such as ``{"id": "val_acc", "ood": "test_acc"}``. Fields:
            ``oodbench.importing.mapping.FIELDS`` and ``hparams.NAME``.
        constants: Field -> what it is for every model, such as ``{"dataset": "CIFAR"}``; also the
            facts ``shift``, ``chance``, ``num_classes``, ``optimizer_kind``, and ``sampler``.
        name: Of the sweep in the database; the file's by default.
        percent: Whether accuracies are in percent.
        separator: Between cells; found out by default.

    Raises:
        RequestError: If the file or the mapping cannot be used, accuracies above 1 are not said to
            be percent, no row is left, or the database has another sweep of that name.
        DatabaseError: If the database cannot be used.
    """
    sheet = read_sheet(file, separator)
    fields = fields_of(sheet, columns, constants or {})
    return import_sheet("csv", sheet, fields, db, name, percent)


def import_sheet(
    source: str, sheet: Sheet, fields: Fields, db: str | Path, name: str | None, percent: bool
) -> ImportedRuns:
    """Store the rows of a table as runs; rows that cannot be runs are reported."""
    _check_scale(sheet, fields, percent)
    records: dict[str, tuple[int, RunRecord]] = {}
    skipped = list(sheet.skipped)
    for line, cells in sheet.rows.items():
        try:
            record = _record(source, sheet.name, line, fields.of(cells), 100 if percent else 1)
        except BadRowError as problem:
            skipped.append(f"row {line}: {problem}")
            continue
        if record.trial.id in records:
            first, _ = records[record.trial.id]
            skipped.append(f"row {line}: it says the same as row {first}.")
        else:
            records[record.trial.id] = line, record
    if not records:
        told = "".join(f"\n  {text}" for text in skipped[:SHOWN]) or "\n  it has a header only"
        raise RequestError(f"{sheet.name} has no row that can be imported:{told}")
    found = [record for _, record in records.values()]
    facts = {}
    for record in found:
        names = ENVIRONMENTS if record.trial.test_environments == (1,) else ()
        facts[group_of(record)] = facts_of(record.trial, names, fields.facts)
    sweep = name or Path(sheet.name).stem
    origin = {"file": sheet.name}
    imported = Imported(source, sweep, origin, found, facts, fields.sampler, tuple(skipped))
    with open_database(db, create=True) as database:
        return add_imported(database, imported)


def _check_scale(sheet: Sheet, fields: Fields, percent: bool) -> None:
    """Refuse percent that are not said to be, and fractions that are said to be percent."""
    high, some = [], False
    for line, cells in sheet.rows.items():
        said = fields.of(cells)
        values = {score: as_number(said[score]) for score in SCORES if score in said}
        some = some or bool(values)
        high += [f"row {line}: {k} {v:g}" for k, v in values.items() if 1 < v < math.inf]
    if high and not percent:
        raise RequestError(
            f"{sheet.name}: accuracies are fractions, and {len(high):,} are above 1 "
            f"({'; '.join(high[:SHOWN])}). If they are percent, say --percent; else correct them."
        )
    if percent and some and not high:
        raise RequestError(
            f"{sheet.name}: no accuracy is above 1, so they are fractions. Leave out --percent."
        )


def _record(source: str, file: str, line: int, said: Mapping[str, str], unit: float) -> RunRecord:
    """One row.

    Raises:
        BadRowError: If it is no model.
    """
    status, reason = said.get("status", "completed"), said.get("reason", "")
    if status not in STATUSES:
        raise BadRowError(f"status {status!r} is none of {', '.join(STATUSES)}.")
    if status != "failed" and "loss" in said and not math.isfinite(_number(said, "loss")):
        status, reason = "diverged", f"The training loss was {said['loss']}."
    if status != "completed":
        reason = reason or f"{file} says that it {status}, not why."
    scores = {score: _accuracy(said, score, unit) for score in SCORES if score in said}
    if status == "completed":
        for needed in (("id", "id_val"), ("ood",)):
            if not set(needed) & set(scores):
                raise BadRowError(f"{needed[0]} is missing.")
    if "dataset" not in said:
        raise BadRowError("dataset is missing.")
    trial = _trial(source, said)
    measured = tuple(
        Measurement(
            trial.steps,
            ENVIRONMENTS[score not in ("id", "id_val")],
            "val" if score.endswith("val") else "test",
            SCORES[score],
            "accuracy",
            value,
            _count(said, f"n_{score}", 0),
        )
        for score, value in scores.items()
    )
    known = {"from": source, "file": file, "row": line, "name": said.get("name", "")}
    unknown = [label for field, label in UNKNOWNS.items() if field not in said]
    provenance = {"imported": {**known, "unknown": [*unknown, "versions, machine and cost"]}}
    return RunRecord(trial, status, reason, measured, provenance)  # type: ignore[arg-type]


UNKNOWNS = {
    "id": "accuracy on ID test examples",
    "id_val": "accuracy on ID validation examples, which selection would read",
    "n_ood": "how many OOD examples the accuracy rests on",
    "optimizer": "the optimizer",
    "algorithm": "the algorithm",
    "steps": "how long it was trained",
    "seed": "its seed",
}
"""What an imported model lacks if a field is not said."""


def _trial(source: str, said: Mapping[str, str]) -> Trial:
    steps = _count(said, "steps", 0)
    return Trial(
        dataset=said["dataset"],
        fingerprint="",
        test_environments=_environments(said.get("test_environments", "1")),
        model=said.get("model", UNKNOWN),
        algorithm=said.get("algorithm", UNKNOWN),
        optimizer=said.get("optimizer", UNKNOWN),
        hparams={
            name.removeprefix(HPARAMS): _scalar(text)
            for name, text in said.items()
            if name.startswith(HPARAMS)
        },
        steps=steps,
        batch={},
        evaluate_every=steps,
        seed=_count(said, "seed", -1),
        data_seed=_count(said, "data_seed", 0),
        imported=hash_of(dict(said)),
        protocol=IMPORTED + source,
    )


def _accuracy(said: Mapping[str, str], score: str, unit: float) -> float:
    value = _number(said, score) / unit
    if not 0 <= value <= 1:
        kind = "percent between 0 and 100" if unit == 100 else "fraction between 0 and 1"
        raise BadRowError(f"{score} {said[score]} is no {kind}.")
    return value


def _number(said: Mapping[str, str], field: str) -> float:
    try:
        return float(said[field])
    except ValueError:
        raise BadRowError(f"{field} {said[field]!r} is no number.") from None


def _count(said: Mapping[str, str], field: str, default: int) -> int:
    if field not in said:
        return default
    value = _number(said, field)
    if not (0 <= value < 2**63 and value == int(value)):
        raise BadRowError(f"{field} {said[field]} is no whole number from 0 on.")
    return int(value)


def _environments(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.strip("[]() ").split(",")}))
    except ValueError:
        found = ()
    if not found or found[0] < 0:
        raise BadRowError(f"test_environments {text!r} are no indices such as 0 or 0,2.")
    return found


def _scalar(text: str) -> Scalar:
    """A hyperparameter: a number or a truth value if it reads as one; infinities stay texts."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    value = as_number(text)
    if not math.isfinite(value):
        return text
    return int(value) if value == int(value) and text.lstrip("+-").isdigit() else value
