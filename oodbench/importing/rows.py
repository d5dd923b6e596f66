"""One row of a table of models as a run."""

import math
from collections.abc import Mapping

from oodbench.importing.facts import as_number
from oodbench.importing.mapping import HPARAMS, SCORES
from oodbench.records import IMPORTED, STATUSES, Measurement, RunRecord, Scalar, Trial, hash_of
from oodbench.results import UNKNOWN

ENVIRONMENTS = ("id", "ood")
"""Environments of a table that names none: one to train on, one to test on."""

NO_NUMBER = ("none", "null", "na", "n/a", "<na>", "-", "--")
"""What tables have where there is no number, beside an empty cell, NaN and infinities."""

UNKNOWNS = {
    "id": "accuracy on ID test examples",
    "id_val": "accuracy on ID validation examples, which selection would read",
    "n_ood": "how many OOD examples the accuracy rests on",
    "optimizer": "the optimizer",
    "algorithm": "the algorithm",
    "steps": "how long it was trained",
    "seed": "its seed",
}
"""What an imported model lacks if a field is missing."""


class BadRowError(ValueError):
    """What is wrong with one row."""


def record_of(
    source: str, file: str, line: int, said: Mapping[str, str], units: Mapping[str, float]
) -> RunRecord:
    """One row as a run. Its status is read first: only completed runs need scores.

    Args:
        source: Source, such as ``csv``.
        file: Name of the file.
        line: The row's.
        said: Field -> what the row says.
        units: Score -> what it is divided by.

    Raises:
        BadRowError: If it is no model.
    """
    status, reason = _status(file, said)
    scores = _scores(said, units, status == "completed")
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


def _status(file: str, said: Mapping[str, str]) -> tuple[str, str]:
    """What became of a run, and why. One whose training loss is no finite number diverged."""
    status, reason = said.get("status", "completed"), said.get("reason", "")
    if status not in STATUSES:
        raise BadRowError(f"status {status!r} is none of {', '.join(STATUSES)}.")
    if status != "completed":
        return status, reason or f"{file} says that it {status}, not why."
    loss = said.get("loss", "")
    known = loss and loss.lower() not in NO_NUMBER
    if known and not math.isfinite(_number(said, "loss")):
        return "diverged", f"The training loss was {loss}."
    return status, reason


def _scores(said: Mapping[str, str], units: Mapping[str, float], needed: bool) -> dict[str, float]:
    """The accuracies that the row has, as fractions.

    Raises:
        BadRowError: If they are ``needed``, and one is missing or none.
    """
    scores = {}
    for score in SCORES:
        try:
            if _has_number(said, score):
                scores[score] = _accuracy(said, score, units[score])
        except BadRowError:
            if needed:
                raise
    for either in (("id", "id_val"), ("ood",)):
        if needed and not set(either) & set(scores):
            there = next((f" ({said[name]})" for name in either if name in said), "")
            raise BadRowError(f"{either[0]} is missing{there}.")
    return scores


def _accuracy(said: Mapping[str, str], score: str, unit: float) -> float:
    value = _number(said, score) / unit
    if not 0 <= value <= 1:
        kind = "percent between 0 and 100" if unit == 100 else "fraction between 0 and 1"
        raise BadRowError(f"{score} {said[score]} is no {kind}.")
    return value


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


def _has_number(said: Mapping[str, str], field: str) -> bool:
    """Whether a cell has more than a word for no number: NaN, an infinity, null, nothing."""
    text = said.get(field, "")
    if not text or text.lower() in NO_NUMBER:
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return True


def _number(said: Mapping[str, str], field: str) -> float:
    try:
        return float(said[field])
    except ValueError:
        raise BadRowError(f"{field} {said[field]!r} is not a number.") from None


def _count(said: Mapping[str, str], field: str, default: int) -> int:
    if not _has_number(said, field):
        return default
    value = _number(said, field)
    if not (0 <= value < 2**63 and value == int(value)):
        raise BadRowError(f"{field} {said[field]} is not a whole number of at least 0.")
    return int(value)


def _environments(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.strip("[]() ").split(",")}))
    except ValueError:
        found = ()
    if not found or not 0 <= found[0] <= found[-1] < 2**31:
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
