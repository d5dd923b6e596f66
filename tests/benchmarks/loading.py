"""Batches of 96 images of 224 pixels, augmented on the CPU: made by the step, or ahead by threads.

Ways are timed in turn by the wall clock, so no other work should run meanwhile. Training is that of
a perceptron on one core, whose step takes some times as long as its images. The row of a GPU is
what one thread does for it: the draws, and the bytes of the images gathered and copied to it;
without a GPU, to other memory.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import torch

from oodbench.machine import cores
from oodbench.seeds import stream
from oodbench.sweep.plan import plan
from oodbench.training import Tensors
from oodbench.training.clock import DATA
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.augmentation import RECIPES, draw
from oodbench.training.inputs.batches import Batches
from oodbench.training.inputs.loading import Loading
from oodbench.training.inputs.prefetching import MORE
from oodbench.training.inputs.stored import StoredInputs
from oodbench.training.loop import Run
from tests.benchmarks.images import BATCH, photographs

CPU = torch.device("cpu")
ROUNDS, BATCHES, COPIES = 5, 8, 200
STEPS, WIDTH = 6, 512


def measure() -> Iterator[dict[str, object]]:
    """Rows of batches, of steps, and of what is done for a GPU."""
    prepare_for_cpu()
    with photographs() as (_, data):
        yield from of_batches(data)
        yield of_bookkeeping(data)
        yield from of_steps(data)


def of_batches(data: Tensors) -> Iterator[dict[str, object]]:
    """Images a second, and how many times those of a step that makes its own."""
    ways = range(min(4, cores()) + 1)
    seconds: dict[int, list[float]] = {loaders: [] for loaders in ways}
    for _ in range(ROUNDS):
        for loaders in ways:
            seconds[loaders].append(seconds_of_batches(data, loaders))
    for loaders, found in seconds.items():
        times = median(own / ours for own, ours in zip(seconds[0], found, strict=True))
        rate = round(BATCH * len(data.sizes) / median(found))
        yield {"what": f"batches, {loaders} loaders", "images/s": rate, "times": round(times, 2)}


def seconds_of_batches(data: Tensors, loaders: int) -> float:
    """Seconds a batch, once all memory was used before."""
    batches = Batches(data.sizes, {"per_environment": BATCH}, [0], CPU)
    loading, before = Loading(data, [0], CPU, loaders), loaders + MORE
    with loading.until(10**6):
        for step in range(before):
            loading.at(step, batches.at)
        start = time.perf_counter()
        for step in range(before, before + BATCHES):
            loading.at(step, batches.at)
        return (time.perf_counter() - start) / BATCHES


def of_bookkeeping(data: Tensors) -> dict[str, object]:
    """Images a second and thread."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert isinstance(data.inputs, StoredInputs)
    inputs, found = replace(data.inputs, device=device), []
    batches = Batches(data.sizes, {"per_environment": BATCH}, [0], CPU)
    each, (_, height, width) = BATCH * len(data.sizes), inputs.shape[1:]
    copied = torch.empty((each, *inputs.shape[1:]), dtype=torch.uint8, device=device)
    for step in range(COPIES):
        start = time.perf_counter()
        draw(RECIPES[data.augment], each, height, width, stream(0, "augmentation", step))
        copied.copy_(inputs.as_stored(batches.at(step).flatten()), non_blocking=True)
        found.append(time.perf_counter() - start)
    return {"what": "for a GPU: draws, reading, copying", "images/s": round(each / median(found))}


def of_steps(data: Tensors) -> Iterator[dict[str, object]]:
    """Images a second after the first steps, and the share of them that is a wait for images."""
    sweep = {
        "name": "bench",
        "datasets": [{"name": "ImageFolders", "folder": "photographs", "test_environments": [0]}],
        "algorithms": ["erm"],
        "optimizers": ["adam"],
        "model": {"name": "mlp", "width": WIDTH},
        "search": {"trials": 1},
        "train": {"steps": 3 * STEPS, "batch": {"per_environment": BATCH}},
    }
    trial = plan(sweep).studies[0].trials[0]
    for loaders in range(min(2, cores())):
        run = Run([trial], replace(data, evaluation=()), CPU, loaders=loaders)
        with run.loading.until(trial.steps):
            for step in range(STEPS):
                run.step(step)
            run.clock.seconds.clear()
            start = time.perf_counter()
            for step in range(STEPS, 2 * STEPS):
                run.step(step)
            whole = time.perf_counter() - start
        yield {
            "what": f"training, {loaders} loaders",
            "images/s": round(BATCH * len(data.sizes) * STEPS / whole),
            "waits for images": f"{run.clock.seconds[DATA] / whole:.1%}",
        }
