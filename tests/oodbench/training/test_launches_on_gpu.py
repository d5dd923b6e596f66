"""How often a training step makes the host wait for a GPU, and how many kernels it launches there.

A pretend GPU counts both. A real one is asked to raise where it is waited for; its profiler counts.
"""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from training_helpers import make_trials

from oodbench.data import Dataset
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.loop import Run
from oodbench.training.precision import numerics

pytestmark = pytest.mark.gpu
SIX = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
LONG = {"precision": "float32", "steps": 1000, "evaluate_every": 1000}
CNN = {"model": "mnist_cnn", "model_options": {}, "batch": {"per_environment": 2}}


@pytest.fixture(scope="module")
def data(device: torch.device, colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), device, torch.float32)


def counted(step: Callable[[], object]) -> tuple[int, int]:
    """Waits and launches in a step."""
    pretended: Any = sys.modules.get("pretend_cuda")
    if pretended:
        with pretended.watching() as seen:
            step()
        waits = sum(n for (kind, *_), n in seen.waits.items() if "queued" not in kind)
        return waits, seen.launches
    torch.cuda.set_sync_debug_mode("error")
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
