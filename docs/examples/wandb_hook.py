"""Log every stored run to Weights & Biases: --on-run-end docs/examples/wandb_hook.py:log_run."""

from collections.abc import Mapping
from typing import Any

import wandb

from oodbench import RunRecord


def log_run(run: RunRecord, scores: Mapping[str, Any]) -> None:
    trial = run.trial
    config = {"dataset": trial.dataset, "algorithm": trial.algorithm, "optimizer": trial.optimizer}
    with wandb.init(
        project="oodbench", id=trial.id, name=trial.id, config={**config, **trial.hparams}
    ) as logged:
        for step in sorted({item.step for item in run.measurements}):
            now = [item for item in run.measurements if item.step == step]
            logged.log({f"{m.environment}/{m.role}/{m.metric}": m.value for m in now}, step=step)
        logged.summary.update({**scores, "status": run.status, "reason": run.reason})
