"""How a run came about: versions, commit, device, cost. Recorded, never part of a trial's id."""

import math
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from oodbench.optimizers import OPTIMIZERS
from oodbench.training.fast import products

if TYPE_CHECKING:
    from oodbench.training.loop import Run


@cache
def code() -> dict[str, Any]:
    """Versions of the packages that decide results, and the commit, if this is a checkout."""
    packages = {name: version(name) for name in ("oodbench", "numpy")}
    root = Path(__file__).parents[2]
    git = {}
    if (root / ".git").exists():
        run = ["git", "-C", str(root)]
        try:
            commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True)
            changes = subprocess.run([*run, "status", "--porcelain"], capture_output=True)
            if commit.returncode == changes.returncode == 0:
                git = {"commit": commit.stdout.strip(), "dirty": bool(changes.stdout)}
        except FileNotFoundError:  # a checkout on a machine without git
            pass
    return {
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),  # with its build, such as +cu132
        **packages,
        **git,
    }


def device_name(device: torch.device) -> str:
    """Such as ``cpu`` or ``NVIDIA H100``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: of the device on a GPU, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def of_run(run: "Run", model: int) -> dict[str, Any]:
    """How the run of one model came about."""
    optimizer = type(run.optimizers[model])
    compiled = run.compiled is not None and run.compiled.used
    return {
        **code(),
        "device": device_name(run.device),
        "products": "torch" if compiled else products.library(run.device),
        "compiled": compiled,
        "stack_size": run.k,
        "stacked": run.stacked,
        "optimizer_class": f"{optimizer.__module__}.{optimizer.__qualname__}",
        "seconds": round(run.seconds / run.k, 6),
        **({"resumed_at": run.resumed_at} if run.resumed_at else {}),
        "gradient_evaluations": gradient_evaluations(run, model),
        "examples_per_step": math.prod(run.batches.at(0).shape[1:]),
        "shared_examples": run.data.shared,
        "peak_memory_bytes": peak_memory(run.device),
    }


def gradient_evaluations(run: "Run", model: int) -> int:
    """Gradients that one model's training took: its steps, each as often as its optimizer asks."""
    trial = run.trials[model]
    steps = run.diverged.get(model, trial.steps)
    restarts = [step for step, models in run.algorithm.restarts.items() if model in models]
    before = min([steps, *restarts])
    first = OPTIMIZERS.get(trial.optimizer).evaluations
    return before * first + (steps - before) * run.specs[model].evaluations
