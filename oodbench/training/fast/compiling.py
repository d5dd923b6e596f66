"""The gradients of a training step, plain or through ``torch.compile``.

Compiled are the forward pass, the losses and the backward pass; on a GPU they are recorded as CUDA
graphs, so that a step launches two of them instead of hundreds of kernels. Results differ by
rounding alone; what is drawn at random is the same. Optimizers and evaluation are not compiled.

A compiled step is used again wherever the same is computed on the same shapes, in later stacks too.
What torch cannot trace as a whole is trained without compiling, which is reported and recorded.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from oodbench.algorithms import Algorithm
from oodbench.errors import RequestError
from oodbench.training.models import Models


def differentiate(
    algorithm: Algorithm, models: Models, inputs: Tensor, labels: Tensor, step: int
) -> Tensor:
    """Put the gradients of a step where the optimizers read them; returns the (K,) losses."""
    losses = algorithm.losses(models, inputs, labels, step)
    models.backward(losses)
    return losses.detach()


class Compiled:
    """``differentiate``, compiled as far as torch can trace it.

    Args:
        what: It trains, to be named where it cannot be compiled.

    Attributes:
        used: Whether a step was compiled.
    """

    def __init__(self, what: str) -> None:
        self._what, self._traceable = what, True
        self.used = False

    def __call__(
        self, algorithm: Algorithm, models: Models, inputs: Tensor, labels: Tensor, step: int
    ) -> Tensor:
        """Compile the forward and backward pass; see ``differentiate``.

        Raises:
            RequestError: If what can be traced cannot be compiled on this machine.
        """
        from torch._dynamo.exc import BackendCompilerFailed, Unsupported  # late: it takes seconds

        given = algorithm, models, inputs, labels
        if self._traceable:
            try:
                losses = traced(given, step)
                models.backward(losses)
            except Unsupported as error:  # nothing has happened yet
                self._traceable = False
                tell_plain(self._what, first_line(error))
            except BackendCompilerFailed as error:
                raise told_impossible(inputs.device, error) from error
            else:
                self.used = True
                keep(algorithm, models)
                return losses.detach()
        return differentiate(*given, step)


def traced(given: tuple[Algorithm, Models, Tensor, Tensor], step: int) -> Tensor:
    """The losses of a step, in memory of their own: that of a CUDA graph is written anew next time.

    The step is a tensor here: a number would be a part of what is compiled.
    """
    from torch._dynamo.exc import FailOnRecompileLimitHit

    device = given[2].device
    compiled, number = compiled_losses(device.type), torch.full((), step, device=device)
    if device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
    try:
        return compiled(*given, number).clone()
    except FailOnRecompileLimitHit:  # so many kinds of stacks: forget them all
        torch.compiler.reset()
        return compiled(*given, number).clone()


@cache
def compiled_losses(device_type: str) -> Callable[..., Tensor]:
    """An algorithm's losses, compiled for a type of device."""

    def losses(algorithm: Any, models: Any, inputs: Tensor, labels: Tensor, step: Tensor) -> Tensor:
        found: Tensor = algorithm.losses(models, inputs, labels, step)
        return found

    return torch.compile(losses, fullgraph=True, dynamic=False, **settings(device_type))


def settings(device_type: str) -> dict[str, Any]:
    """What compiles, and how: with torch's own random numbers, and CUDA graphs on a GPU."""
    options = {"fallback_random": True, "triton.cudagraphs": device_type == "cuda"}
    return {"backend": "inductor", "options": options}


def keep(algorithm: Algorithm, models: Models) -> None:
    """Copy gradients and an algorithm's state where they lie in the memory of a CUDA graph."""
    for name, value in algorithm.state.items():
        algorithm.state[name] = value.clone() if value.is_cuda else value
    for parameter in models.memory():
        if parameter.grad is not None and parameter.is_cuda:
            parameter.grad = parameter.grad.clone()


def check_compiler(device: torch.device) -> None:
    """Compile something small.

    Raises:
        RequestError: If this machine lacks what that needs.
    """
    torch.compiler.reset()
    try:
        torch.compile(torch.sin, **settings(device.type))(torch.ones(2, device=device))
    except Exception as error:
        raise told_impossible(device, error) from error


def told_impossible(device: torch.device, error: Exception) -> RequestError:
    """What is missing, and what to do."""
    needs = {
        "cpu": "a C++ compiler (g++ or clang++, or the one that CXX names) and Python's headers",
        "cuda": "Triton and a GPU that it supports",
    }
    return RequestError(
        f"Compiling needs {needs.get(device.type, 'a backend of torch.compile')} on {device}, but "
        f"torch says: {first_line(error)}. Install what is missing, or train without --compile."
    )


@cache
def tell_plain(what: str, why: str) -> None:
    """Say on stderr, once, that something is not compiled."""
    print(f"{what}: not compiled, since torch cannot trace it: {why}", file=sys.stderr, flush=True)


def first_line(error: Exception) -> str:
    """What an error says in short, or the one inside it."""
    said = str(getattr(error, "inner_exception", error)).strip().splitlines()
    return (said or [type(error).__name__])[0].rstrip(".:")
