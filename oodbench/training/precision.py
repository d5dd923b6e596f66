"""What the precision of a trial means, and what a GPU is to compute so that it means that.

``bf16`` is float32 in all but the models' forward pass. There ``torch.autocast`` computes products
of matrices and convolutions in bfloat16, and what torch lists as sensitive in float32. Weights,
gradients, optimizers' states, logits, losses and penalties are float32. The backward pass runs
outside autocast, as torch's documentation asks, in the types that the forward pass had.

``tf32`` is float32, but a GPU rounds what it multiplies, in products of matrices and convolutions,
to the 10 bits of TF32, and adds up in float32. Where there is no TF32 it is float32. ``float32`` is
never TF32, which torch has on for convolutions by default.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ParamSpec

import torch
from torch import Tensor, nn

P = ParamSpec("P")

BF16, TF32 = "bf16", "tf32"
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    BF16: torch.float32,
    TF32: torch.float32,
}
"""The type of inputs, weights, gradients and losses."""
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""What keeps cuBLAS from choosing its method by which streams are busy; read when it begins."""
TF32_SINCE = 8, 0
"""Compute capability of the first GPUs that have it (Ampere)."""
SIDE, TIMES = 256, 5
"""Side of the square matrices whose product is timed, and how often."""


@contextmanager
def numerics(
    device: torch.device, precision: str = "float32", deterministic: bool = True
) -> Iterator[None]:
    """Inside, a GPU computes in a precision, and the same each time. On a CPU it changes nothing.

    What it sets is the process's, so it is put back at the end. Operations of which torch has no
    deterministic form on a GPU run as they are, and torch warns of each of them once.

    Args:
        device: Where things are computed.
        precision: Precision of the trial.
        deterministic: Whether the same computation gives the same bits each time. Else cuDNN times
            its convolutions and takes the fastest.
    """
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault(*WORKSPACE)
    cudnn: Any = torch.backends.cudnn
    wanted: list[tuple[Any, str, bool]] = [
        (torch.backends.cuda.matmul, "allow_tf32", precision == TF32),
        (cudnn, "allow_tf32", precision == TF32),
        (cudnn, "deterministic", deterministic),
        (cudnn, "benchmark", not deterministic),
        (torch.utils.deterministic, "fill_uninitialized_memory", False),  # a launch for each tensor
    ]
    before = [getattr(place, name) for place, name, _ in wanted]
    mode = torch.get_deterministic_debug_mode()
    for place, name, value in wanted:
        setattr(place, name, value)
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    try:
        yield
    finally:
        for (place, name, _), value in zip(wanted, before, strict=True):
            setattr(place, name, value)
        torch.set_deterministic_debug_mode(mode)


def in_precision(forward: Callable[P, Tensor], precision: str) -> Callable[P, Tensor]:
    """The forward pass of a trial's models: as it is, unless the precision is ``bf16``.

    Args:
        forward: A module, or a function like one, whose last argument are the inputs.
        precision: Precision of the trial.

    Returns:
        One whose results are in the trial's dtype: see ``DTYPES``.
    """
    if precision != BF16:
        return forward

    def mixed(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        inputs: Any = args[-1]
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
            return forward(*args, **kwargs).float()

    return mixed


class Mixed(nn.Module):
    """A network whose forward pass is that of ``bf16``.

    Args:
        module: The network itself, in float32.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        """The network's output in float32."""
        return in_precision(self.module, BF16)(inputs)


class As(nn.Module):
    """What it is given, in a dtype: for float64 what a network in float32 gives."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, inputs: Tensor) -> Tensor:
        """The inputs, converted to the given dtype."""
        return inputs.to(self.dtype)


@cache
def tell_if_slow(precision: str, device: str) -> None:
    """Say on stderr, once, if a precision saves no time on a device. It is used there as asked."""
    why = {BF16: why_slow, TF32: why_no_tf32}.get(precision)
    if why and (reason := why(device)):
        print(f"precision {precision}: {reason}; use float32", file=sys.stderr, flush=True)


def why_no_tf32(device: str) -> str:
    """Why ``tf32`` is float32 on a device; empty if it is not."""
    if device.startswith("cuda") and torch.cuda.is_available():
        if torch.cuda.get_device_capability(device) >= TF32_SINCE:
            return ""
        return f"{torch.cuda.get_device_name(device)} has no TF32 in hardware"
    return f"{device} has no TF32"


def why_slow(device: str) -> str:
    """Why ``bf16`` saves no time on a device; empty if it may.

    A GPU says whether its hardware has bfloat16. A CPU does not, so a product is timed there.
    """
    if device.startswith("cuda") and torch.cuda.is_available():
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                return f"{torch.cuda.get_device_name()} has no bfloat16 in hardware"
    elif device == "cpu":
        times = seconds_of_product(torch.bfloat16) / seconds_of_product(torch.float32)
        if times >= 1:
            return f"a product of matrices takes {times:.1f} times as long in bfloat16 on this CPU"
    return ""


def seconds_of_product(dtype: torch.dtype) -> float:
    """CPU time of a product of two matrices with one thread, as workers have: the least of some."""
    a, found, threads = torch.ones(SIDE, SIDE, dtype=dtype), [], torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(1 + TIMES):  # the first may have to prepare something
        start = time.process_time()
        a @ a
        found.append(time.process_time() - start)
    torch.set_num_threads(threads)
    return min(found[1:])
