"""Averages of the weights along a run, evaluated in their place."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class WeightAverage:
    """The average of K models' weights: of all models at once, each on its own.

    Args:
        tensors: What the weights lie in; read after every step.
        average: ``{"ema": d}``: d times the average plus 1 - d times the weights, from the weights
            after the first step on (Polyak & Juditsky 1992). ``{"swa": s}``: the mean of the
            weights after each step, from the share s of the steps on (Izmailov et al. 2018, at a
            constant learning rate); before it, the weights themselves.
        steps: Steps of the whole run.
    """

    def __init__(self, tensors: Sequence[Tensor], average: Mapping[str, float], steps: int) -> None:
        ((self._kind, self._value),) = average.items()
        self._tensors = [tensor.detach() for tensor in tensors]
        self._start = round(self._value * steps) if self._kind == "swa" else 0
        self._mean = [torch.zeros_like(tensor) for tensor in self._tensors]
        self._count = 0

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Take in the weights after ``done`` steps."""
        if done <= self._start:
            return
        self._count += 1
        share = 1 - self._value if self._kind == "ema" else 1 / self._count
        for mean, tensor in zip(self._mean, self._tensors, strict=True):
            mean.lerp_(tensor, share if self._count > 1 else 1.0)

    @property
    def begun(self) -> bool:
        """Whether there is an average yet."""
        return self._count > 0

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the models have their average; afterwards their weights again, bit for bit."""
        if not self.begun:
            yield
            return
        trained = [tensor.clone() for tensor in self._tensors]
        self._put(self._mean)
        yield
        self._put(trained)

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._tensors, values, strict=True):
            tensor.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """The averages and their counts, for a checkpoint."""
        return {"mean": self._mean, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        for mean, value in zip(self._mean, state["mean"], strict=True):
            mean.copy_(value)
        self._count = state["count"]
