"""What a training step takes in float32 and in bf16: milliseconds of CPU time a model.

ERM and Adam on 128 images, with one thread; the fastest of some steps, in stacks and alone.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from oodbench.data import DATASETS
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.stored import Inputs
from oodbench.training.sizing import time_stack
from tests.benchmarks.stacks import CPU, trials_of

ROUNDS = 3


def measure() -> Iterator[dict[str, object]]:
    """A row for each model and stack."""
    prepare_for_cpu()
    digits = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), CPU, torch.float32)
    for width in (64, 256):
        (trial,) = (t for t in trials_of("erm", width, 6) if t.optimizer == "adam")
        for size in (1, 16):
            yield {"model": f"mlp {width}-{width}, digits"} | compared(trial, digits, size)
    images = torch.rand(len(digits.labels), 2, 28, 28)
    larger = replace(digits, inputs=Inputs(images, torch.float32), evaluation=())
    network = replace(trial, model="mnist_cnn", model_options={})
    yield {"model": "mnist_cnn, 2 x 28 x 28"} | compared(network, larger, 1)


def compared(trial: Trial, data: Tensors, size: int) -> dict[str, object]:
    """The precisions in turn, a few times."""
    best = dict.fromkeys(("float32", "bf16"), float("inf"))
    for _ in range(ROUNDS):
        for precision in best:
            asked = replace(trial, precision=precision)
            seconds = time_stack(asked, data, CPU, size, lambda: None)
            best[precision] = min(best[precision], seconds)
    return {"stack": size} | {name: round(s * 1e3, 3) for name, s in best.items()}
