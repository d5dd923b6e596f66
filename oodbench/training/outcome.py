"""What came of a run: a record of each trial, and how it came about."""

import math
from typing import TYPE_CHECKING, Any

from oodbench.optimizers import OPTIMIZERS
from oodbench.records import RunRecord
from oodbench.training.fast import products
from oodbench.training.provenance import arithmetic, code, device_name, gpu, peak_memory

if TYPE_CHECKING:
    from oodbench.training.loop import Run


def records_of(run: "Run") -> list[RunRecord]:
    """A record of each trial.

    Raises:
        OodbenchError: If a replica's optimizer does not write to the parameters it was given.
    """
    if run.replicas:
        run.replicas.check_in_place(run.broken)
    found = []
    for number, trial in enumerate(run.trials):
        measured, how = tuple(run.measurements[number]), provenance(run, number)
        since = run.diverged.get(run.rows_of[number].start)
        if since is None:
            found.append(RunRecord(trial, "completed", "", measured, how))
            continue
        reason = (
            f"The loss or a parameter was no longer finite at step {since} of {trial.steps}; "
            "a smaller learning rate or penalty weight may train."
        )
        found.append(RunRecord(trial, "diverged", reason, measured, how))
    return found


def provenance(run: "Run", number: int) -> dict[str, Any]:
    """How one trial was trained, and what it cost."""
    model = run.rows_of[number].start
    optimizer, examples = type(run.optimizers[model]), math.prod(run.batches.at(0).shape[1:])
    compiled = run.compiled is not None and run.compiled.used
    return {
        **code(),
        "device": device_name(run.device),
        **arithmetic(run.device.type),
        **gpu(run.device),
        "products": "torch" if compiled else products.library(run.device),
        "compiled": compiled,
        **({"cuda_graphs": True} if run.captured and run.captured.used else {}),
        "stack_size": run.k,
        "stacked": run.stacked,
        "optimizer_class": f"{optimizer.__module__}.{optimizer.__qualname__}",
        "seconds": round(run.seconds / len(run.trials), 6),
        **({"resumed_at": run.resumed_at} if run.resumed_at else {}),
        **({"loaders": run.loading.loaders} if run.loading.loaders else {}),
        "gradient_evaluations": gradients_taken(run, model),
        "examples_per_step": examples,
        "shared_examples": run.data.shared,
        **({"targets": list(run.data.targets)} if run.data.targets else {}),
        **({"mean_of_targets": True} if run.data.mean_of_targets else {}),
        "peak_memory_bytes": peak_memory(run.device),
        **(run.replicas.costs(number, examples) if run.replicas else {}),
    }


def gradients_taken(run: "Run", model: int) -> int:
    """Gradients of one model's training: its steps, each as often as its optimizer asks."""
    trial = run.trial_of[model]
    steps = run.diverged.get(model, trial.steps)
    restarts = [step for step, models in run.algorithm.restarts.items() if model in models]
    before = min([steps, *restarts])
    first = OPTIMIZERS.get(trial.optimizer).evaluations
    return before * first + (steps - before) * run.specs[model].evaluations
