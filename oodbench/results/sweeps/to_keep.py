"""The checkpoints whose weights and predictions the sweeps want kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from oodbench.records import BEST, LAST
from oodbench.results.connection.database import Database
from oodbench.results.schema import studies, study_trials, sweeps

WEIGHTS = {"last": {LAST}, "selected": {BEST}}
"""What ``keep_weights`` says in a sweep file -> the checkpoints whose weights are kept."""
PREDICTIONS = {"last": {LAST}, "selected": {LAST, BEST}}
"""What ``keep_predictions`` says -> the checkpoints whose predictions are kept."""


@dataclass(frozen=True)
class ToKeep:
    """What is kept of runs: run -> checkpoints; only those of which any is.

    Attributes:
        weights: Checkpoints whose weights are kept.
        predictions: Checkpoints whose predictions are kept.
    """

    weights: Mapping[str, set[str]] = field(default_factory=dict)
    predictions: Mapping[str, set[str]] = field(default_factory=dict)


def to_keep(db: Database, runs: Sequence[str]) -> ToKeep:
    """What is to be kept of the ``runs``. One of several sweeps keeps what any of them wants."""
    links, spec = study_trials.c, sweeps.c.spec
    asking = (
        select(
            links.run_id,
            spec["keep_weights"].as_string().label("weights"),
            # A sweep of an older oodbench says nothing of it.
            func.coalesce(spec["keep_predictions"].as_string(), "last").label("predictions"),
        )
        .join(studies, studies.c.id == links.study_id)
        .join(sweeps, sweeps.c.id == studies.c.sweep_id)
        .where(links.run_id.in_(runs))
        .distinct()
    )
    weights: dict[str, set[str]] = {}
    predictions: dict[str, set[str]] = {}
    with db.read() as connection:
        for row in connection.execute(asking):
            for found, wanted in (
                (weights, WEIGHTS.get(row.weights)),
                (predictions, PREDICTIONS.get(row.predictions)),
            ):
                if wanted:
                    found.setdefault(row.run_id, set()).update(wanted)
    return ToKeep(weights, predictions)
