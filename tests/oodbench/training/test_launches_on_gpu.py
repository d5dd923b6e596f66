"""How often a training step makes the host wait for a GPU, and how many kernels it launches there.

A pretend GPU counts both. A real one is asked to raise where it is waited for; its profiler counts.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from training_helpers import make_trials

from oodbench.data import Dataset
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.inputs.augmentation import RECIPES, TrainingImages
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run
from oodbench.training.precision import numerics

pytestmark = pytest.mark.gpu
SIX = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
LONG = {"precision": "float32", "steps": 1000, "evaluate_every": 1000}
CNN = {"model": "mnist_cnn", "model_options": {}, "batch": {"per_environment": 2}}


@pytest.fixture(scope="module")
def data(device: torch.device, colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), device, torch.float32)


def counted(step: Callable[[], object], may_wait: bool = False) -> tuple[int, int]:
    """Waits and launches in a step; a real GPU shows that there are none, or nothing about them."""
    pretended: Any = sys.modules.get("pretend_cuda")
    if pretended:
        with pretended.watching() as seen:
            step()
        waits = sum(n for (kind, *_), n in seen.waits.items() if "queued" not in kind)
        return waits, seen.launches
    torch.cuda.set_sync_debug_mode("default" if may_wait else "error")
    try:
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
            step()
            torch.cuda.set_sync_debug_mode("default")  # the profiler waits at its end
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0, sum(event.count for event in found.key_averages() if "LaunchKernel" in event.key)


def of_a_step(trials: list[Trial], data: Tensors, device: torch.device, stacked: bool) -> int:
    """Launches of the fifth step, in which nothing is made for the first time; it does not wait."""
    if device.type != "cuda":
        Run(trials, data, device, stacked).step(0)
        pytest.skip("a CPU launches nothing")
    with numerics(device, trials[0].precision):
        run = Run(trials, data, device, stacked)
        for step in range(4):
            run.step(step)
        waits, launches = counted(lambda: run.step(4))
    assert waits == 0
    return launches


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
def test_a_stack_launches_no_more_for_more_models(
    algorithm: str, data: Tensors, device: torch.device
) -> None:
    few, many = (
        of_a_step(
            [t for name in SIX for t in make_trials(n, algorithm, optimizer=name, **LONG)],
            *(data, device, True),
        )
        for n in (1, 8)
    )
    assert many <= 1.1 * few
    if "pretend_cuda" in sys.modules:  # a library may split a product into several kernels
        assert many <= 60


@pytest.mark.parametrize(
    ("most", "optimizer", "stacked", "changes"),
    [
        (130, "muon", True, {}),
        (70, "sam", True, {}),
        (50, "adam", False, CNN),
        (90, "adam", False, CNN | {"precision": "bf16"}),
    ],
)
def test_nor_is_a_step_of_these_waited_for(
    most: int,
    optimizer: str,
    stacked: bool,
    changes: dict[str, Any],
    data: Tensors,
    device: torch.device,
) -> None:
    trials = make_trials(2 if stacked else 1, optimizer=optimizer, **LONG | changes)
    launches = of_a_step(trials, data, device, stacked)
    assert launches <= (most if "pretend_cuda" in sys.modules else 2 * most)


@pytest.mark.parametrize(
    ("recipe", "most", "waits"),
    # torchvision uploads a kernel whenever it sharpens: twice for each of two changes
    [("domainbed", 150, 0), ("crop_flip", 60, 0), ("randaugment", 215, 4), ("augmix", 215, 0)],
)
def test_images_are_augmented_by_few_launches(
    recipe: str, most: int, waits: int, device: torch.device
) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (96, 3, 32, 32), dtype=np.uint8)
    inputs = Inputs(torch.from_numpy(stored).to(device), torch.float32)
    images = TrainingImages(inputs, RECIPES[recipe], (3,))
    indices = torch.arange(96, device=device).view(1, 1, 96)
    images(indices, 0)
    if device.type != "cuda":
        pytest.skip("a CPU launches nothing")
    waited, launches = counted(lambda: images(indices, 1), may_wait=waits > 0)
    assert waited <= waits
    assert launches <= (most if "pretend_cuda" in sys.modules else 2 * most)
