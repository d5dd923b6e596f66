"""All that the database knows of one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from sqlalchemy import Connection, func, select

from oodbench.records import Trial
from oodbench.results.connection.database import Database
from oodbench.results.provenances import provenance_of, runs_with_origins
from oodbench.results.schema import (
    answer_keys,
    origins,
    predictions,
    runs,
    studies,
    study_trials,
    sweeps,
)
from oodbench.results.store import find_run
from oodbench.results.targets import N_OOD, OOD, are_of_targets, listed
from oodbench.results.trials import trial_of


@dataclass(frozen=True, repr=False)
class RunDetails:
    """A run, whatever its state; it prints itself in a few lines.

    Attributes:
        run: Id of the run.
        trial: What is or was trained.
        status: ``waiting``, ``running``, ``completed``, ``diverged`` or ``failed``.
        reason: Why it diverged or failed; else empty.
        asked_by: The studies that ask for it, each with ``sweep``, ``study`` (its id), ``index`` of
            the trial in it and ``sampler``.
        environments: Names of the dataset's environments.
        targets: The targets that it is tested on.
        scores: Checkpoint rule -> ``step`` and, for each role, the mean accuracy and ``n_<role>``,
            and for each target ``ood[NAME]`` and ``n_ood[NAME]``; empty unless the run is
            completed.
        provenance: Versions, device, cost, weights; empty unless it is finished.
        predictions: Checkpoint -> ``examples``, of how many its predictions are kept, ``bytes``,
            and ``file``, its name in the artifacts folder, if they are in one.
        owner: The worker that has it, or had it last; None if none had.
        attempts: How many times it was claimed and not given back.
        started: Seconds since 1970, on the database's clock; None if it never was.
        finished: Seconds since 1970, on the same clock; None while it is not.
    """

    run: str
    trial: Trial
    status: str
    reason: str
    asked_by: tuple[Mapping[str, Any], ...]
    environments: tuple[str, ...]
    targets: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    predictions: Mapping[str, Mapping[str, Any]]
    owner: str | None
    attempts: int
    started: float | None
    finished: float | None

    @property
    def summary(self) -> dict[str, str]:
        """Label -> text of a short summary: what was trained, and what became of it."""
        trial = self.trial
        given = ", ".join(f"{name} {value}" for name, value in trial.hparams.items())
        scores = {
            f"{rule} (step {found['step'] or 'not known'})": _few_scores(found)
            for rule, found in self.scores.items()
        }
        test = listed(self.targets) or ", ".join(map(str, trial.test_environments))
        known = {
            "run": self.run,
            "status": self.status,
            "reason": self.reason,
            "dataset": f"{trial.dataset}, tested on {test or 'its published splits'}",
            "model": trial.model,
            "algorithm": trial.algorithm,
            "optimizer": f"{trial.optimizer} ({given})" if given else trial.optimizer,
            "steps": f"{trial.steps:,}" if trial.steps else "not known",
            "sweeps": ", ".join(dict.fromkeys(str(item["sweep"]) for item in self.asked_by)),
            **scores,
        }
        return {name: value for name, value in known.items() if value}

    def __repr__(self) -> str:
        width = max(map(len, self.summary))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.summary.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self.summary.items()
        )
        return f"<table>{rows}</table>"

    def to_json(self) -> dict[str, Any]:
        """The details as plain values."""
        plain = {"trial": self.trial.to_json(), "asked_by": [dict(item) for item in self.asked_by]}
        names = {"environments": list(self.environments), "targets": list(self.targets)}
        return {**vars(self), **names, **plain}


def run_details(db: Database, run: str) -> RunDetails:
    """Look one run up.

    Args:
        run: The run's id, or enough of its beginning.

    Raises:
        QueryError: If no run or several begin so.
    """
    with db.read() as connection:
        found = select(runs, origins.c.shared).select_from(runs_with_origins)
        row = connection.execute(found.where(runs.c.id == find_run(connection, run))).one()
        asked = _asked_by(connection, row.id)
        kept = _predictions(connection, row.id)
    provenance = provenance_of(row)
    return RunDetails(
        run=row.id,
        trial=trial_of(row),
        status=row.state,
        reason=row.reason,
        asked_by=tuple({k: v for k, v in item.items() if k != "facts"} for item in asked),
        environments=tuple(asked[0]["facts"].get("environments", ()) if asked else ()),
        targets=tuple(provenance.get("targets", ())),
        scores={rule: _by_column(found) for rule, found in row.summary.items()},
        provenance=provenance,
        predictions=kept,
        owner=row.owner,
        attempts=row.attempt,
        started=row.started,
        finished=row.finished,
    )


def _by_column(found: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of a summary, with those of targets as the columns of a table have them."""
    plain = {name: value for name, value in found.items() if name not in ("targets", "n_targets")}
    for of, name in ((OOD, "targets"), (N_OOD, "n_targets")):
        plain |= {of.format(target): value for target, value in found.get(name, {}).items()}
    return plain


def _few_scores(found: Mapping[str, Any]) -> str:
    """Scores such as ``id_val 0.900, ood_test 0.500``; of many targets the first."""
    texts = {
        name: f"{name} {value:.3f}"
        for name, value in found.items()
        if name != "step" and not name.startswith("n_") and value is not None
    }
    targets = [texts.pop(name) for name in are_of_targets(texts)]
    return ", ".join([*texts.values(), *([listed(targets)] if targets else [])])


def _predictions(connection: Connection, run: str) -> dict[str, dict[str, Any]]:
    row = predictions.c
    statement = (
        select(
            row.checkpoint, row.file, func.length(row.packed).label("size"), answer_keys.c.splits
        )
        .join(answer_keys, answer_keys.c.id == row.key_id)
        .where(row.run_id == run)
        .order_by(row.checkpoint.desc())
    )
    found = {}
    for item in connection.execute(statement):
        examples = sum(split["size"] for split in item.splits)
        place = {"bytes": item.size}
        if item.file is not None:
            place = {"bytes": item.file["bytes"], "file": item.file["file"]}
        found[item.checkpoint] = {"examples": examples, **place}
    return found


def _asked_by(connection: Connection, run: str) -> list[Mapping[str, Any]]:
    link = study_trials.c
    statement = (
        select(
            sweeps.c.name.label("sweep"),
            studies.c.id.label("study"),
            link.idx.label("index"),
            link.sampler,
            studies.c.facts,
        )
        .join(studies, studies.c.id == link.study_id)
        .join(sweeps, sweeps.c.id == studies.c.sweep_id)
        .where(link.run_id == run)
        .order_by(studies.c.created, studies.c.position, studies.c.id, link.idx)
    )
    return [dict(item) for item in connection.execute(statement).mappings()]
