"""A table of runs with all that a report shows."""

from typing import Any

import numpy as np
import pandas as pd


def make_runs(n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Two datasets, three optimizers; one of the datasets also with IRM; some runs are lost."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for dataset, algorithm in (("Colored", "erm"), ("Colored", "irm"), ("Rotated", "erm")):
        for optimizer in ("sgd", "momentum", "adam"):
            for i in range(n):
                number = len(rows)
                row: dict[str, Any] = {
                    "run": f"{number:04x}{seed:012x}",
                    "config_id": f"{number}",
                    "dataset": dataset,
                    "test_environments": "2" if dataset == "Colored" else "0,1",
                    "algorithm": algorithm,
                    "optimizer": optimizer,
                    "model": "mlp",
                    "seed": i,
                    "sampler": "random",
                    "steps": 300,
                    "status": "completed",
                    "reason": "",
                    "id_val": rng.uniform(0.55, 0.95),
                    "optimizer_kind": "adaptive" if optimizer == "adam" else "non-adaptive",
                    "chance": 0.5 if dataset == "Colored" else 0.1,
                    "shift": "correlation" if dataset == "Colored" else "diversity",
                    "lr": float(f"{10 ** rng.uniform(-4, 0):.6g}"),
                    "momentum": rng.uniform(0.5, 0.99) if optimizer == "momentum" else np.nan,
                    "variant": rng.choice(["code", "paper"]),
                }
                row["id"] = float(np.clip(row["id_val"] + rng.normal(0, 0.01), 0, 1))
                row["ood"] = float(np.clip(0.8 * row["id"] - 0.1 + rng.normal(0, 0.03), 0, 1))
                row |= {"n_id": 359, "n_ood": 180}
                if i == 0:  # at the end of the scale, where logits are not finite
                    row |= {"id": 1.0, "ood": 0.0}
                if i == 1:
                    reason = f'The loss became non-finite at step {number}. Lower "lr", or clip.'
                    row |= {"status": "diverged", "reason": reason}
                if i == 2 and optimizer == "adam":
                    row |= {"status": "failed", "reason": "Out of memory."}
                if row["status"] != "completed":
                    row |= dict.fromkeys(("id_val", "id", "ood", "n_id", "n_ood"), np.nan)
                rows.append(row)
    return pd.DataFrame(rows)


def make_checkpoints(runs: pd.DataFrame) -> pd.DataFrame:
    """Three checkpoints a run; IRM's runs have other steps, and diverged ones lack the last."""
    rows: list[dict[str, Any]] = []
    for row in runs.to_dict("records"):
        steps = (100, 200, 300) if row["algorithm"] == "erm" else (50, 300, 600)
        final = (row["id"], row["ood"]) if row["status"] == "completed" else (0.6, 0.4)
        for part, step in enumerate(steps, 1):
            if row["status"] == "completed" or part < 3:
                scores = [part / 3 * value for value in final]
                rows.append({"run": row["run"], "step": step, "id_test": scores[0]})
                rows[-1] |= {"ood_test": scores[1], "n_id_test": 359}
    return pd.DataFrame(rows)
