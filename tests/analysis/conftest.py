"""Hand-made tables of runs, as ``oodbench.results.query.pairs`` returns them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

KINDS = {"adam": "adaptive", "rmsprop": "adaptive", "adamw": "adaptive"}


def make_run(number: int, optimizer: str, score: tuple[float, float] | None, **other: Any) -> dict:
    """One row; ``score`` is (id, ood), or None where the run has no scores."""
    known, values = score is not None, score or (np.nan, np.nan)
    row = {
        "run": f"{number:016x}",
        "dataset": "ColoredDigits",
        "test_environments": "2",
        "algorithm": "erm",
        "optimizer": optimizer,
        "model": "mlp",
        "seed": number,
        "steps": 300,
        "status": "completed" if known else "diverged",
        "reason": "" if known else f"The loss became non-finite at step {number}. Lower lr.",
        "id_val": values[0],
        "id": values[0],
        "ood": values[1],
        "n_id": 100 if known else np.nan,
        "n_ood": 50 if known else np.nan,
        "optimizer_kind": KINDS.get(optimizer, "non-adaptive"),
        "chance": 0.5,
        "sampler": "random",
    }
    return {**row, **other}


@pytest.fixture
def run() -> Callable[..., dict]:
    """Makes one row of a table of runs."""
    return make_run


@pytest.fixture
def pairs() -> pd.DataFrame:
    """Two panels; SGD: 3 completed and 1 diverged; Adam: 2 completed and 1 failed, or none."""
    failed = {"status": "failed", "reason": "Out of memory."}
    rows = [
        make_run(1, "sgd", (0.8, 0.2)),
        make_run(2, "adam", (0.6, 0.5)),
        make_run(3, "sgd", (0.9, 0.1)),
        make_run(4, "sgd", None),
        make_run(5, "adam", (0.7, 0.4)),
        make_run(6, "sgd", (0.5, 0.52)),
        make_run(7, "adam", None, **failed),
        make_run(8, "sgd", (0.65, 0.66), algorithm="irm"),
        make_run(9, "adam", None, algorithm="irm"),
    ]
    return pd.DataFrame(rows)
