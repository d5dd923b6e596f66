"""What a training step takes plain and compiled: milliseconds of CPU time a model.

Adam on 128 images, float32, with one thread; the fastest of some steps, in stacks and alone. Beside
them the CPU seconds of the first step, in which torch and the C++ compiler compile it; fewer where
it is in torch's cache.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from oodbench.data import DATASETS
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.fast.compiling import check_compiler
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run
from tests.benchmarks.stacks import CPU, trials_of

ROUNDS, SECONDS = 3, 1.0
"""How often each is timed, and for how long."""


def measure() -> Iterator[dict[str, object]]:
    """A row for each model, algorithm and stack."""
    prepare_for_cpu()
    check_compiler(CPU)
    digits = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), CPU, torch.float32)
    images = torch.rand(len(digits.labels), 2, 28, 28)
    larger = replace(digits, inputs=Inputs(images, torch.float32), evaluation=())
    for algorithm in ("erm", "irm"):
        for size in (1, 16):
            trials = [t for t in trials_of(algorithm, 64, 6 * size) if t.optimizer == "adam"]
            yield {"model": "mlp 64-64, digits"} | compared(trials, digits)
        network = replace(trials[0], model="mnist_cnn", model_options={})
        yield {"model": "mnist_cnn, 2 x 28 x 28"} | compared([network], larger, stacked=False)


def compared(trials: list[Trial], data: Tensors, stacked: bool = True) -> dict[str, object]:
    """Both in turn, a few times."""
    runs = [Run(trials, data, CPU, stacked, compiled=compiled) for compiled in (False, True)]
    before = sum(os.times()[:4])  # also of the processes that it started
    for run in runs:
        seconds_of_step(run)
    first = sum(os.times()[:4]) - before
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for way, run in enumerate(runs):
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                best[way] = min(best[way], seconds_of_step(run))
    plain, compiled = (round(seconds * 1e3 / len(trials), 3) for seconds in best)
    how = {"algorithm": trials[0].algorithm, "stack": len(trials), "plain": plain}
    return how | {"compiled": compiled, "first step, s": round(first, 1)}


def seconds_of_step(run: Run) -> float:
    """CPU time of the next step."""
    start = time.process_time()
    run.step(run.done)
    run.done += 1
    return time.process_time() - start
