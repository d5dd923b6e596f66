"""Log every stored run to MLflow: --on-run-end docs/examples/mlflow_hook.py:log_run."""

import re
from collections.abc import Mapping
from typing import Any

import mlflow

from oodbench import RunRecord


def log_run(run: RunRecord, scores: Mapping[str, Any]) -> None:
    trial = run.trial
    mlflow.set_experiment("oodbench")
    tags = {"oodbench.run": trial.id, "oodbench.status": run.status, "oodbench.reason": run.reason}
    with mlflow.start_run(run_name=trial.id, tags=tags):
        config = {"dataset": trial.dataset, "algorithm": trial.algorithm}
        mlflow.log_params({**config, "optimizer": trial.optimizer, **trial.hparams})
        mlflow.log_metrics({k: v for k, v in scores.items() if v is not None and k != "step"})
        for m in run.measurements:
            name = "/".join(part for part in (m.environment, m.role, m.metric) if part)
            name = re.sub(r"[^\w\-. :/]", "_", name)  # MLflow allows no others
            mlflow.log_metric(name, m.value, step=m.step)
