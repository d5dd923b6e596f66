"""Where the time of a sweep goes: what is neither training nor evaluation.

A twentieth of twenty_thousand.yaml's search, with a worker on each core; and MNIST_CNN on
ColoredMNIST, a run in each worker (300 steps, 4 evaluations), where ``OODBENCH_DATA`` has MNIST.
Shares are of the workers' time, from their first claim to their end.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oodbench import api
from oodbench.machine import cores
from oodbench.sweep import load_sweep
from oodbench.training.clock import EVALUATION, MODEL, OPTIMIZER
from tests.benchmarks.domainbed_mnist import sweep_of

FILE, MODELS = "sweeps/twenty_thousand.yaml", 40
"""How many models of each study are trained."""


def measure() -> Iterator[dict[str, object]]:
    """A row for each sweep."""
    yield shares("mlp 64-64, digits", load_sweep(FILE, [f"search.trials={MODELS}"]))
    if os.environ.get("OODBENCH_DATA"):
        for algorithm in ("erm", "irm"):
            yield shares(f"mnist_cnn, {algorithm}", sweep_of(algorithm, cores(), 300, 4))
    else:
        print("mnist_cnn is not measured: OODBENCH_DATA has to be the folder of MNIST")


def shares(what: str, sweep: Any) -> dict[str, object]:
    """Of the time of all workers of a sweep, what each phase took."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        table = api.run_sweep(sweep, Path(folder) / "runs.db", on_profile=seconds.update)
    total = seconds.pop("all")
    seconds["everything else"] = total - sum(seconds.values())
    useful = sum(seconds[phase] for phase in (MODEL, OPTIMIZER, EVALUATION))
    return {
        "sweep": what,
        "completed": table["completed"].sum(),
        "workers' seconds": round(total),
        "neither training nor evaluation": f"{1 - useful / total:.1%}",
        **{phase: f"{spent / total:.1%}" for phase, spent in seconds.items()},
    }
