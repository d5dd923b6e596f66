"""Share of the matrix-multiply peak that the training loop reaches, with one thread.

The peak is that of a 1,024 x 1,024 single-precision product by the faster of torch and numpy,
measured between the others. A step is forward, backward, optimizer and data; only the
multiplications that a step needs are counted.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from oodbench.data import DATASETS
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run, build_module
from oodbench.training.sizing import measure as measure_stack
from oodbench.training.sizing import memory_bound
from tests.benchmarks.stacks import CPU, linear_flops, trials_of

ROUNDS, SECONDS = 7, 0.4
CASES = [
    ("mlp 256-256, 2 x 14 x 14", 256, "erm", "sgd"),
    ("mlp 256-256, 2 x 14 x 14", 256, "erm", "adam"),
    ("mlp 256-256, 2 x 14 x 14", 256, "irm", "sgd"),
    ("mlp 64-64, digits", 64, "erm", "sgd"),
    ("mlp 64-64, digits", 64, "erm", "adam"),
    ("mlp 64-64, digits", 64, "irm", "sgd"),
    ("mlp 64-64, digits", 64, "irm", "adam"),
]


def measure() -> Iterator[dict[str, object]]:
    """A row for each model, algorithm and optimizer."""
    prepare_for_cpu()
    digits = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), CPU, torch.float32)
    for name, width, algorithm, optimizer in CASES:
        data = digits if width == 64 else of_fourteen(digits)
        (trial,) = (t for t in trials_of(algorithm, width, 6) if t.optimizer == optimizer)
        yield {"model": name, "algorithm": algorithm, "optimizer": optimizer, **share(trial, data)}


def of_fourteen(digits: Tensors) -> Tensors:
    """Random images of 2 x 14 x 14 in the place of the digits; nothing is learnt from them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(len(digits.labels), 2, 14, 14, generator=generator)
    return replace(digits, inputs=Inputs(images, torch.float32), evaluation=())


def share(trial: Trial, data: Tensors) -> dict[str, object]:
    """The peak and the loop's rate in GFLOP/s, and what an evaluated image costs."""
    found = measure_stack(trial, data, CPU, memory_bound(CPU))
    run = Run([replace(trial, seed=i) for i in range(found.size)], data, CPU)
    images = 2 * trial.batch["per_environment"]
    flops = linear_flops(build_module(trial, data.shape, data.num_classes), images) * found.size
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    a_, b_ = a.numpy(), b.numpy()
    step = iter(range(10**6))
    best = {"peak": float("inf"), "step": float("inf"), "evaluation": float("inf")}
    evaluated = sum(len(split.labels) for split in data.evaluation) * found.size
    for _ in range(ROUNDS):
        for product in (lambda: torch.mm(a, b), lambda: a_ @ b_):
            best["peak"] = min(best["peak"], repeated(product))
        best["step"] = min(best["step"], repeated(lambda: run.step(next(step))))
        if evaluated:
            seconds = repeated(lambda: run.measure(1, [(0.0, 1)] * run.k))
            best["evaluation"] = min(best["evaluation"], seconds)
    peak, rate = 2 * 1024**3 / best["peak"] / 1e9, flops / best["step"] / 1e9
    trained = best["step"] / images / found.size
    cost = best["evaluation"] / evaluated / trained if evaluated else None
    return {
        "stack": found.size,
        "peak": round(peak, 1),
        "reached": round(rate, 1),
        "share": f"{rate / peak:.0%}",
        "evaluated image / trained": cost and round(cost, 2),
    }


def repeated(act: Callable[[], object]) -> float:
    """Seconds that ``act`` takes, on average over a while."""
    n, start = 0, time.perf_counter()
    while True:
        act()
        n += 1
        if time.perf_counter() - start > SECONDS:
            return (time.perf_counter() - start) / n
