"""Studies as Optuna studies in a storage of Optuna's, for optuna-dashboard and its plots."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from oodbench.errors import RequestError
from oodbench.records import STATUSES
from oodbench.results import Database, describe_target, open_database, sqlite_file
from oodbench.results.schema import COMPLETED, DIVERGED, FAILED, runs, studies, study_trials, sweeps
from oodbench.results.sweeps.lookup import studies_of
from oodbench.spaces import Space, parse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SHOWN = ("id", "ood", "id_val", "id_test", "ood_test", "oracle_val", "ood_val")
"""Scores that become attributes of a trial."""


@dataclass(frozen=True)
class ExportedStudies:
    """What an export to Optuna did.

    Attributes:
        studies: Studies with a finished run.
        new: Trials that were added.
        known: The trials that an earlier export had added.
        unscored: Completed runs without ``id_val``, the objective: they were left out.
    """

    studies: int
    new: int
    known: int
    unscored: int


def export_optuna(db: str | Path, storage: str, *, sweep: str | None = None) -> ExportedStudies:
    """Write each study as an Optuna study that maximises ``id_val``; twice adds nothing.

    A completed run is a COMPLETE trial; so is a diverged one, with the value minus infinity (Optuna
    has no state for it, and refuses NaN); a failed one is a FAIL trial. Runs that are not finished
    are left out. No OOD score is an objective: they are attributes, with the run's id.

    Args:
        db: URL or path of the database.
        storage: URL of Optuna's storage, such as ``sqlite:///optuna.db``; a path means SQLite.
        sweep: Only this one.

    Raises:
        RequestError: If the storage cannot be used, or is the results database.
        UnknownNameError: If there is no such sweep.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = storage if "://" in storage else f"sqlite:///{storage}"
    if _place(url) == _place(str(db)):
        raise RequestError("Optuna's storage must be another database than that of the results.")
    with open_database(db, read_only=True) as database:
        found = list(_studies(database, sweep))
    try:
        opened = optuna.storages.RDBStorage(url)
        done = [_put(opened, *study) for study in found]
    except (SQLAlchemyError, ImportError, optuna.exceptions.OptunaError) as error:
        text = str(error).splitlines()[0]
        raise RequestError(f"Optuna's storage {_place(url)} cannot be used: {text}") from error
    return ExportedStudies(len(done), *(map(sum, zip(*done, strict=True)) if done else (0, 0, 0)))


def _put(
    storage: "BaseStorage", name: str, about: Mapping[str, Any], space: Space, rows: Sequence[Any]
) -> tuple[int, int, int]:
    """Add a study, or what it lacks: how many trials are new, known and without a score."""
    import optuna

    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
    for key, value in about.items():
        study.set_user_attr(key, value)
    there = {trial.user_attrs.get("run") for trial in study.get_trials(deepcopy=False)}
    scored = [row for row in rows if row.state != COMPLETED or _score(row) is not None]
    new = [row for row in scored if row.id not in there]
    distributions = _distributions(space, rows)
    study.add_trials([_trial(row, space, distributions) for row in new])
    return len(new), len(scored) - len(new), len(rows) - len(scored)


def _place(target: str) -> str:
    """Where a database is, without its password; Optuna knows more kinds than we do."""
    try:
        file = sqlite_file(target)
        return describe_target(target) if file is None else str(file.resolve())
    except RequestError:
        return target.rpartition("@")[2]


def _studies(db: Database, sweep: str | None) -> Iterator[tuple[str, dict[str, Any], Any, Any]]:
    """Name, attributes, search space and finished runs of each study that has any."""
    link = study_trials.c
    with db.read() as connection:
        joined = select(studies, sweeps.c.name.label("sweep")).join(sweeps)
        order = studies.c.sweep_id, studies.c.position, studies.c.id
        wanted = joined.where(studies_of(connection, sweep)).order_by(*order)
        for study in connection.execute(wanted).all():
            finished = runs.c.state.in_(STATUSES)
            mine = (
                select(runs, link.sampler.label("sampler"))
                .join(study_trials, link.run_id == runs.c.id)
                .where(link.study_id == study.id, finished)
                .order_by(link.idx)
            )
            rows = list({row.id: row for row in connection.execute(mine)}.values())
            environments = ",".join(map(str, study.test_environments))
            what = f"{study.dataset} [{environments}] {study.algorithm} {study.optimizer}"
            about = {"study": study.id, "objective": "id_val, mean over environments"}
            if rows:
                name = f"{study.sweep}: {what} ({study.id[:6]})"
                space = {name: parse(text) for name, text in study.space.items()}
                yield name, {**about, **study.facts}, space, rows


def _score(row: Any) -> float | None:
    last = row.summary.get("last", {})
    value = last.get("id_val")
    return None if value is None else float(value)


def _values(row: Any) -> dict[str, Any]:
    """What was drawn for a run, the batch size among it."""
    size = row.batch.get("per_environment") or row.batch.get("size")
    return {**({"batch_size": size} if size else {}), **row.hparams}


def _distributions(space: Space, rows: Sequence[Any]) -> dict[str, "BaseDistribution"]:
    """The searched distributions; where they are not known, the interval of the drawn numbers."""
    from optuna.distributions import FloatDistribution

    if space:
        return {name: what.distribution() for name, what in space.items()}
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in _values(row).items():
            found.setdefault(name, []).append(_as_float(value))
    return {
        name: FloatDistribution(min(values), max(values))
        for name, values in found.items()
        if all(map(math.isfinite, values))
    }


def _as_float(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else math.nan


def _trial(
    row: Any, space: Space, distributions: Mapping[str, "BaseDistribution"]
) -> "FrozenTrial":
    import optuna

    values = _values(row)
    params = {
        name: space[name].sampled(values[name]) if name in space else _as_float(values[name])
        for name in distributions
        if name in values
    }
    outside = {n: v for n, v in row.hparams.items() if n not in params}
    last = row.summary.get("last", {})
    scores = {**last, "id": last.get("id_test", last.get("id_val")), "ood": last.get("ood_test")}
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState["FAIL" if row.state == FAILED else "COMPLETE"],
        value={COMPLETED: _score(row), DIVERGED: -math.inf, FAILED: None}[row.state],
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs={
            "run": row.id,
            "status": row.state,
            "sampler": row.sampler,
            "seed": row.seed,
            "protocol": row.protocol,
            **({"reason": row.reason} if row.reason else {}),
            **{name: scores[name] for name in SHOWN if scores.get(name) is not None},
            **{f"hparams.{name}": value for name, value in outside.items()},
        },
    )
    started, finished = row.started or row.finished, row.finished
    trial.datetime_start, trial.datetime_complete = (
        datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) for seconds in (started, finished)
    )
    return trial
