"""Stacks of the measured size, against one model at a time and against one process a run.

All three train the same trials (each optimizer in turn, 300 steps, 5 evaluations of every split
that a rule reads) with one thread, side by side in this process; the best of three rounds counts.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from oodbench.data import DATASETS
from oodbench.records import Trial
from oodbench.sweep.plan import plan
from oodbench.training import Tensors, load, train
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.loop import Run
from oodbench.training.sizing import measure as measure_stack
from oodbench.training.sizing import memory_bound

CPU, ROUNDS = torch.device("cpu"), 3
OPTIMIZERS = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]
ALONE = 6
"""How many models are trained one at a time."""


def sweep_of(algorithm: str, width: int, trials: int) -> dict[str, object]:
    """The digits sweep of one algorithm."""
    return {
        "name": "bench",
        "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
        "algorithms": [algorithm],
        "optimizers": OPTIMIZERS,
        "model": {"name": "mlp", "width": width, "depth": 2},
        "search": {"trials": trials},
        "train": {"steps": 300, "batch": {"per_environment": 64}, "evaluate_every": 60},
    }


def trials_of(algorithm: str, width: int, n: int) -> list[Trial]:
    """``n`` trials, every optimizer in turn."""
    studies = plan(sweep_of(algorithm, width, -(-n // len(OPTIMIZERS)))).studies
    return [trial for turn in zip(*(s.trials for s in studies), strict=True) for trial in turn][:n]


def measure() -> Iterator[dict[str, object]]:
    """A row for each model and algorithm."""
    prepare_for_cpu()
    data = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), CPU, torch.float32)
    for width in (64, 256):
        for algorithm in ("erm", "irm"):
            yield compare(algorithm, width, data)


def compare(algorithm: str, width: int, data: Tensors) -> dict[str, object]:
    """Seconds a model, each way."""
    found = measure_stack(trials_of(algorithm, width, 1)[0], data, CPU, memory_bound(CPU))
    stack = trials_of(algorithm, width, max(found.size, len(OPTIMIZERS)))
    alone = stack[:ALONE]
    cohorts = [stack[i : i + found.size] for i in range(0, len(stack), found.size)]

    def together() -> None:
        for cohort in cohorts:
            train(cohort, data, CPU)

    def one_by_one() -> None:
        for trial in alone:
            train([trial], data, CPU)

    def as_modules() -> None:
        for trial in alone:
            Run([trial], data, CPU, stacked=False).train(lambda: None)

    ways = {together: len(stack), one_by_one: len(alone), as_modules: len(alone)}
    seconds = best_of(list(ways))
    stacked, single, module = (seconds[way] / n for way, n in ways.items())
    process = min(process_a_run(alone[0]) for _ in range(ROUNDS))
    return {
        "model": f"mlp {width}-{width}",
        "algorithm": algorithm,
        "stack": found.size,
        "s a model": round(stacked, 4),
        "one at a time": round(single, 4),
        "plain modules": round(module, 4),
        "a process a run": round(process, 2),
        "times one at a time": round(min(single, module) / stacked, 2),
        "times a process a run": round(process / stacked, 1),
    }


def best_of(ways: Sequence[Callable[[], None]]) -> dict[Callable[[], None], float]:
    """The fewest seconds of each of some ways, taken in turn."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for way in ways:
            start = time.perf_counter()
            way()
            best[way] = min(best[way], time.perf_counter() - start)
    return best


PROCESS = """
import json, sys, torch
torch.set_num_threads(1)
from oodbench.data import DATASETS
from oodbench.records import Trial
from oodbench.training import load
from oodbench.training.loop import Run
cpu = torch.device("cpu")
data = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), cpu, torch.float32)
Run([Trial.from_json(json.loads(sys.argv[1]))], data, cpu, stacked=False).train(lambda: None)
"""
"""Import, load, train, evaluate, exit: nothing that one run does not need."""


def process_a_run(trial: Trial) -> float:
    """Seconds from the start of a process that trains one run to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROCESS, json.dumps(trial.to_json())], check=True)
    return time.perf_counter() - start


def linear_flops(module: nn.Module, examples: int) -> int:
    """Multiplications and additions of one training step of a chain of linear layers.

    Forward, and backward for the weights and, but for the first layer, for the inputs.
    """
    sizes = [part.weight.numel() for part in module.modules() if isinstance(part, nn.Linear)]
    return 2 * examples * (3 * sum(sizes) - sizes[0])
