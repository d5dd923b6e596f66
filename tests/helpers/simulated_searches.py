"""Tables of runs whose expected best, difference or curve is known."""

from typing import Any

import numpy as np
import pandas as pd


def search(
    optimizer: str,
    id_val: Any,
    ood: Any,
    *,
    id_test: Any = None,
    diverged: int = 0,
    failed: int = 0,
    first_seed: int = 0,
    **other: Any,
) -> pd.DataFrame:
    """The runs of one optimizer; trial i has the seed ``first_seed`` + i."""
    id_val = np.asarray(id_val, dtype=float)
    ood = np.asarray(ood, dtype=float)
    n = len(id_val) + diverged + failed
    lost = np.full(diverged + failed, np.nan)
    status = ["completed"] * len(id_val) + ["diverged"] * diverged + ["failed"] * failed
    frame = {
        "run": [f"{optimizer}-{i}" for i in range(n)],
        "config_id": [f"{optimizer}-{i}" for i in range(n)],
        "dataset": "D",
        "test_environments": "0",
        "algorithm": "erm",
        "optimizer": optimizer,
        "optimizer_kind": "adaptive" if optimizer.startswith("ad") else "non-adaptive",
        "seed": first_seed + np.arange(n),
        "sampler": "random",
        "status": status,
        "id_val": np.concatenate([id_val, lost]),
        "id": np.concatenate([id_val if id_test is None else np.asarray(id_test), lost]),
        "ood": np.concatenate([ood, lost]),
        "chance": 0.1,
        "gradient_evaluations": 100,
    }
    return pd.DataFrame({**frame, **other})


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """One table of several searches."""
    return pd.concat(frames, ignore_index=True)
