"""What the first hour on a GPU measures, part by part: see ``tests/gpu/first_hour.sh``.

``python -m tests.benchmarks.gpu stacks`` prints the rows of a part as a table in Markdown, each as
soon as it is measured; one that fails says so and leaves the rest. Without a GPU,
``OODBENCH_GPU_TESTS_ON=cpu`` tries a part on a CPU, small: its numbers mean nothing.
"""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from oodbench.data import DATASETS
from oodbench.models import MODELS
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.fast.processor import prepare_for_cpu
from oodbench.training.inputs.batches import Batches
from oodbench.training.inputs.frozen import Features
from oodbench.training.inputs.loading import Maker
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run
from oodbench.training.precision import numerics
from oodbench.training.provenance import arithmetic, device_name, driver
from tests.benchmarks.__main__ import machine
from tests.benchmarks.images import write_photographs
from tests.benchmarks.stacks import sweep_of, trials_of
from tests.benchmarks.workers import rate

DEVICE = torch.device(os.environ.get("OODBENCH_GPU_TESTS_ON", "cuda"))
SMALL = DEVICE.type != "cuda"
SECONDS = 0.2 if SMALL else 2.0
"""For which something is repeated while it is timed."""
PIXELS, BATCH, CLASSES = (32, 2, 7) if SMALL else (224, 32, 7)
"""Of images; those of each of three environments in a batch."""
TOGETHER = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
"""Optimizers whose steps are taken together."""
Row = tuple[str, str, Callable[[], float]]
"""What is measured, its unit, and how it is measured."""


def seconds_of(act: Callable[[], object]) -> float:
    """Seconds that something takes, on average, once it has been done three times."""
    for _ in range(1 if SMALL else 3):
        act()
    wait()
    start, times = time.perf_counter(), 0
    while times == 0 or time.perf_counter() - start < SECONDS:
        act()
        times += 1
        if times % 10 == 0:
            wait()  # a GPU may be far behind
    wait()
    return (time.perf_counter() - start) / times


def wait() -> None:
    """Until the GPU has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def step_seconds(
    trials: list[Trial],
    data: Tensors,
    *,
    stacked: bool = False,
    compiled: bool = False,
    graphs: bool = False,
    same: bool = True,
    loaders: int = 0,
) -> float:
    """Seconds of a training step of a run."""
    more: Any = {"compiled": compiled, "graphs": graphs, "loaders": loaders}
    with numerics(DEVICE, trials[0].precision, deterministic=same):
        run, steps = Run(trials, replace(data, evaluation=()), DEVICE, stacked, **more), count()
        with run.loading.until(10**6):
            return seconds_of(lambda: run.step(next(steps)))


def stacks() -> Iterator[Row]:
    """A model's share of a step, by the size of its stack: small MLPs, every optimizer in turn."""
    digits = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), DEVICE, torch.float32)
    for algorithm in ("erm", "irm"):
        for size in (1, 4) if SMALL else (1, 4, 16, 64, 256, 1024):
            trials = trials_of(algorithm, 64, size)
            yield (
                f"mlp 64-64, digits, {algorithm}, stack of {size}",
                "µs a model and step",
                lambda t=trials: step_seconds(t, digits, stacked=True) / len(t) * 1e6,
            )
    trials = [trial for trial in trials_of("erm", 64, 64) if trial.optimizer in TOGETHER]
    for graphs in (False, True):
        yield (
            f"those whose optimizers step together, stack of {len(trials)}"
            + ", as a CUDA graph" * graphs,
            "µs a model and step",
            lambda g=graphs: (
                step_seconds(trials, digits, stacked=True, graphs=g) / len(trials) * 1e6
            ),
        )
    yield (
        f"the same, compiled, stack of {min(size, 64)}",
        "µs a model and step",
        lambda: (
            step_seconds(trials[:64], digits, stacked=True, compiled=True) / len(trials[:64]) * 1e6
        ),
    )


def convolutions() -> Iterator[Row]:
    """The same of MNIST_CNN, on images of 2 x 28 x 28; a large stack may not fit."""
    digits = load(DATASETS.get("ColoredDigits").load({}, 0), (2,), DEVICE, torch.float32)
    images = torch.rand(len(digits.labels), 2, 28, 28, device=DEVICE)
    data = replace(digits, inputs=Inputs(images, torch.float32))
    batch = {"per_environment": 4 if SMALL else 64}
    for precision in ("float32", "tf32", "bf16"):
        for size in (1, 2) if SMALL else (1, 4, 16, 64, 256, 1024):
            changes = {"model": "mnist_cnn", "model_options": {}, "batch": batch}
            trials = [
                replace(trial, precision=precision, **changes)
                for trial in trials_of("erm", 64, size)
            ]
            yield (
                f"mnist_cnn, {precision}, stack of {size}",
                "ms a model and step",
                lambda t=trials: step_seconds(t, data, stacked=len(t) > 1) / len(t) * 1e3,
            )


def synthetic() -> Tensors:
    """Images of noise on the device."""
    n = 3 * BATCH
    images = torch.randint(256, (n, 3, PIXELS, PIXELS), dtype=torch.uint8, device=DEVICE)
    labels = torch.randint(CLASSES, (n,), device=DEVICE)
    return Tensors(Inputs(images, torch.float32), labels, (BATCH,) * 3, (), CLASSES, shared=False)


def network_trial(model: str, precision: str = "bf16") -> Trial:
    """All of a network, from random weights, by momentum."""
    trial = next(trial for trial in trials_of("erm", 64, 6) if trial.optimizer == "momentum")
    changes = {"model": model, "model_options": {"pretrained": False}, "precision": precision}
    return replace(trial, batch={"per_environment": BATCH}, **changes)


def networks() -> Iterator[Row]:
    """Images a second of ResNets in bf16: trained here, and by a bare loop."""
    data, images = synthetic(), 3 * BATCH
    for model in ("resnet18", "resnet50"):
        for how, same in (("", True), (", nondeterministic", False)):
            yield (
                f"{model}, bf16{how}",
                "images/s",
                lambda m=model, s=same: images / step_seconds([network_trial(m)], data, same=s),
            )
        yield f"{model}, bf16, a bare loop", "images/s", lambda m=model: images / bare_loop(m, data)


def bare_loop(model: str, data: Tensors) -> float:
    """Seconds of a step, as one writes it without oodbench: no other images but one batch."""
    import torchvision

    network = torchvision.models.get_model(model, num_classes=CLASSES).to(DEVICE).train()
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    inputs = data.inputs[:].contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            logits = network(inputs)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.float(), data.labels).backward()
        optimizer.step()

    with numerics(DEVICE, deterministic=False):
        return seconds_of(step)


def images() -> Iterator[Row]:
    """The way of images from the cache to the device, and a ResNet-18 that is trained on them."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder) / "data" / "photographs")
        os.environ |= {"OODBENCH_DATA": f"{folder}/data", "OODBENCH_CACHE": f"{folder}/cache"}
        for recipe in ("domainbed", "none"):
            options = {"folder": "photographs", "augment": recipe, "size": PIXELS}
            dataset = DATASETS.get("ImageFolders").load(options, 0)
            data = load(dataset, (0,), DEVICE, torch.float32)
            trial = network_trial("resnet18")
            yield f"batches, augment: {recipe}", "images/s", lambda d=data: 3 * BATCH / made_in(d)
            for loaders in (0, 1, 4):
                yield (
                    f"resnet18, bf16, augment: {recipe}, loaders: {loaders}",
                    "images/s",
                    lambda t=trial, d=data, n=loaders: 3 * BATCH / step_seconds([t], d, loaders=n),
                )


def made_in(data: Tensors) -> float:
    """Seconds in which a batch is read, augmented, and on the device."""
    batches = Batches(data.sizes, {"per_environment": BATCH}, [0], data.inputs.place)
    make, steps = Maker(data, [0], DEVICE), count()

    def one() -> None:
        step = next(steps)
        make(batches.at(step), step)

    return seconds_of(one)


def workers() -> Iterator[Row]:
    """Whole sweeps of digits: one worker and two on a GPU, and how long 20,000 models take."""
    each = 1 if SMALL else 80  # 960 models
    sweep = {**sweep_of("erm", 64, each), "algorithms": ["erm", "irm"]}
    if SMALL:
        sweep["train"] = {"steps": 20, "batch": {"per_environment": 8}, "evaluate_every": 10}
    found: dict[int, float] = {}

    def models_a_second(folder: str, n: int) -> float:
        places = {"workers": n} if SMALL else {"gpus": ["0"], "slots_per_gpu": n}
        found[n] = rate(sweep, Path(folder) / f"{n}.db", device=DEVICE.type, **places)
        return found[n]

    with tempfile.TemporaryDirectory() as folder:
        for n in (1, 2):
            yield (
                f"digits, workers on a GPU: {n}",
                "models/s",
                lambda n=n: models_a_second(folder, n),
            )
        yield (
            "20,000 models of digits at the faster rate",
            "minutes",
            lambda: 20_000 / max(found.values()) / 60,
        )


def features() -> Iterator[Row]:
    """Features of a frozen ViT-B/16, in float32, as a worker computes them."""
    name, n = "timm.vit_base_patch16_224", 8 if SMALL else 1024
    spec = MODELS.get(name)
    options = {**spec.defaults, "pretrained": False}
    body = spec.build((3, 224, 224), 2, **options)[0].eval().requires_grad_(False)
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, 224, 224), dtype=np.uint8)
    found = np.zeros((n, 768), np.float32)
    made = Features("bench", [], body, DEVICE)
    yield (
        f"features of {name}",
        "images/s",
        lambda: n / seconds_of(lambda: made.fill(pixels, found)),
    )


PARTS = {
    part.__name__: part for part in (stacks, convolutions, networks, images, workers, features)
}


def main(part: str) -> None:
    """Print the table of a part, or what it is measured on."""
    if part == "machine":
        versions = f"torch {torch.__version__}, {arithmetic(DEVICE.type)['convolutions']}"
        print(f"{device_name(DEVICE)}, driver {driver() or '?'}, {versions}; {machine()}")
        return
    torch.manual_seed(0)
    if SMALL:
        prepare_for_cpu()
    print(
        f"\n{(PARTS[part].__doc__ or '').splitlines()[0]}\n\n| what | measured | |\n|---|--:|---|"
    )
    for what, unit, measured in PARTS[part]():
        try:
            value = f"{measured():,.4g}"
        except Exception as error:
            value = type(error).__name__
            print(f"{what}: {error!r}", file=sys.stderr)
        print(f"| {what} | {value} | {unit} |", flush=True)
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main(sys.argv[1])
