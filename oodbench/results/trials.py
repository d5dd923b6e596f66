"""Trials as rows of ``runs``: each field of a trial stands once, in a column or in ``trial``."""

from typing import Any

from oodbench.records import Trial
from oodbench.results.schema import runs

FIELDS = (
    *("protocol", "dataset", "fingerprint", "test_environments", "model", "algorithm", "optimizer"),
    *("hparams", "steps", "batch", "precision", "seed", "data_seed"),
)
"""Those that have a column; databases of an older oodbench have them in ``trial``, too."""

TRIAL = (runs.c.trial, *(runs.c[name] for name in FIELDS))
"""The columns that ``trial_of`` reads."""


def trial_of(row: Any) -> Trial:
    """The trial of a row with the columns ``TRIAL``."""
    return Trial.from_json({**row.trial, **{name: getattr(row, name) for name in FIELDS}})


def run_columns(trial: Trial) -> dict[str, Any]:
    """The columns of ``runs`` that a trial decides, and those of a run that is untouched."""
    return {
        "id": trial.id,
        "config_id": trial.config_id,
        **{name: getattr(trial, name) for name in FIELDS},
        "test_environments": list(trial.test_environments),
        "hparams": dict(trial.hparams),
        "batch": dict(trial.batch),
        "trial": {name: value for name, value in trial.to_json().items() if name not in FIELDS},
        "cohort_key": trial.cohort_key,
        "attempt": 0,
        "reason": "",
        "provenance": {},
        "summary": {},
    }
