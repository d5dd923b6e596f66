"""Modules side by side in one process, each run as it is, for replicas that cannot be stacked."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from oodbench.training.random import generator_states, seeded, set_generator_states
from oodbench.training.single import Single


class SideBySide:
    """K modules that take each step one after the other. See ``oodbench.training.models.Models``.

    Args:
        modules: Modules of one shape.
        device: Device of the models.
        precision: Precision of the trial.
        seeds: Seeds of what each of them draws at random (dropout).
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        device: torch.device,
        precision: str,
        seeds: Sequence[int],
    ) -> None:
        self._device = device
        self._each = [Single(module, device, precision) for module in modules]
        self._generators: list[Mapping[str, Tensor]] = []  # where each module's are
        for seed in seeds:
            with seeded(seed, device):
                self._generators.append(generator_states(device))

    @contextmanager
    def _drawing(self, model: int) -> Iterator[Single]:
        """Inside, the global generators are the module's own."""
        with seeded(0, self._device):
            set_generator_states(self._generators[model], self._device)
            yield self._each[model]
            self._generators[model] = generator_states(self._device)

    def __call__(self, inputs: Tensor) -> Tensor:
        logits = []
        for i in range(len(self._each)):
            with self._drawing(i) as one:
                logits.append(one(inputs[i : i + 1]))
        return torch.cat(logits)

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        both = []
        for i in range(len(self._each)):
            with self._drawing(i) as one:
                both.append(one.features(inputs[i : i + 1]))
        features, logits = zip(*both, strict=True)
        return torch.cat(features), torch.cat(logits)

    def predict(self, inputs: Tensor) -> Tensor:
        return torch.cat([one.predict(inputs) for one in self._each])

    def backward(self, losses: Tensor, add: bool = False) -> None:
        for one in () if add else self._each:
            one.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]

    def clip(self, max_norm: float) -> None:
        for one in self._each:
            one.clip(max_norm)

    def vectors(self) -> tuple[Tensor, Tensor]:
        weights, gradients = zip(*(one.vectors() for one in self._each), strict=True)
        return torch.cat(weights), torch.cat(gradients)

    def set_gradients(self, rows: Tensor) -> None:
        for i, one in enumerate(self._each):
            one.set_gradients(rows[i : i + 1])

    def set_weights(self, rows: Tensor) -> None:
        for i, one in enumerate(self._each):
            one.set_weights(rows[i : i + 1])

    def buffers(self) -> Tensor:
        return torch.cat([one.buffers() for one in self._each])

    def set_buffers(self, rows: Tensor) -> None:
        for i, one in enumerate(self._each):
            one.set_buffers(rows[i : i + 1])

    def generators(self) -> list[Mapping[str, Tensor]]:
        return list(self._generators)

    def set_generators(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        self._generators = list(states)

    def memory(self) -> list[Tensor]:
        return [p for one in self._each for p in one.memory()]

    def norms(self) -> list[_BatchNorm]:
        return [norm for one in self._each for norm in one.norms()]

    def parameters_of(
        self, model: int, flat: bool, groups: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        return self._each[model].parameters_of(0, flat, groups)

    def train_only(self, positions: Collection[int]) -> None:
        for one in self._each:
            one.train_only(positions)

    def finite(self) -> Tensor:
        return torch.cat([one.finite() for one in self._each])

    def intact(self, model: int) -> bool:
        return True

    def state(self, model: int) -> dict[str, Tensor]:
        return self._each[model].state(0)

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        self._each[model].load_state(0, state)
