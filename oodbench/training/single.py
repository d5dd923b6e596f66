"""One model, run as it is, for those that cannot be stacked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from oodbench.training.models import body_and_head
from oodbench.training.precision import BF16, DTYPES, in_precision
from oodbench.training.random import generator_states, set_generator_states

IMAGES = 16
"""Images in one forward pass of convolutions on a CPU; more would outgrow the cache."""
APART = (nn.Conv2d, nn.GroupNorm, nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear)
"""Layers to which the other examples of a batch are nothing, in training too."""


def keeps_apart(module: nn.Module) -> bool:
    """Whether a model is a chain of layers that see each example by itself."""
    return isinstance(module, nn.Sequential) and all(type(part) in APART for part in module)


def has(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether one of a model's layers is of a kind."""
    return any(isinstance(part, kind) for part in module.modules())


def in_pieces(forward: Callable[[Tensor], Tensor], inputs: Tensor, size: int | None) -> Tensor:
    """The outputs for all inputs, so many at a time; all at once if that is None, or compiled."""
    if size is None or torch.compiler.is_compiling():
        return forward(inputs)
    return torch.cat([forward(part) for part in torch.split(inputs, size)])


class Single:
    """Runs one plain module. See ``oodbench.training.models.Models``.

    On a CPU images are channels last, as convolutions there are faster; but not where a GroupNorm
    follows, which then rounds ten times as much in torch, and not in float64, which is asked for
    where rounding matters. On a GPU they are so in bf16, whose convolutions are written for that
    layout. Weights keep theirs.
    """

    def __init__(self, module: nn.Module, device: torch.device, precision: str) -> None:
        self._device, self._dtype = device, DTYPES[precision]
        self._module = module.to(device, self._dtype)
        self._mixed = partial(in_precision, precision=precision)
        self._forward = self._mixed(module)
        self._trainable = [p.requires_grad for p in module.parameters()]
        self._still: list[nn.Module] = []  # BatchNorm that keeps its statistics
        self._images: int | None = None  # in one forward pass of ``predict``
        self._trained: int | None = None  # in one of training
        self._layout = torch.contiguous_format
        if not has(module, nn.Conv2d):
            return
        last = self._dtype == torch.float32 if device.type == "cpu" else precision == BF16
        if last and not has(module, nn.GroupNorm):
            self._layout = torch.channels_last
        if device.type == "cpu":
            self._images = IMAGES
            if keeps_apart(module) and precision != BF16:  # which rounds each piece's gradient
                self._trained = IMAGES

    def _train(self) -> None:
        self._module.train()
        for module in self._still:
            module.eval()

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """The inputs in the layout that the module computes fastest in."""
        return inputs.contiguous(memory_format=self._layout) if inputs.ndim == 4 else inputs

    def __call__(self, inputs: Tensor) -> Tensor:
        self._train()
        _, groups, size = inputs.shape[:3]
        logits = in_pieces(self._forward, self._laid_out(inputs.flatten(0, 2)), self._trained)
        return logits.view(1, groups, size, -1)

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self._train()
        _, groups, size = inputs.shape[:3]
        body, head = map(self._mixed, body_and_head(self._module))
        features = in_pieces(body, self._laid_out(inputs.flatten(0, 2)), self._trained)
        logits = head(features)
        return features.view(1, groups, size, -1), logits.view(1, groups, size, -1)

    def predict(self, inputs: Tensor) -> Tensor:
        self._module.eval()
        return in_pieces(self._forward, self._laid_out(inputs), self._images).unsqueeze(0)

    def zero_grad(self) -> None:
        """Reset the gradients of the module."""
        self._module.zero_grad()

    def backward(self, losses: Tensor, add: bool = False) -> None:
        if not add:
            self.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]

    def clip(self, max_norm: float) -> None:
        nn.utils.clip_grad_norm_(self._module.parameters(), max_norm)

    def vectors(self) -> tuple[Tensor, Tensor]:
        weights = list(self._module.parameters())
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
        flat = nn.utils.parameters_to_vector
        return flat(weights).detach().unsqueeze(0), flat(grads).unsqueeze(0)

    def set_gradients(self, rows: Tensor) -> None:
        weights = list(self._module.parameters())
        parts = torch.split(rows[0], [p.numel() for p in weights])
        for p, part in zip(weights, parts, strict=True):
            if p.requires_grad:  # not one that is frozen
                p.grad = part.view_as(p).clone()

    def set_weights(self, rows: Tensor) -> None:
        nn.utils.vector_to_parameters(rows[0], self._module.parameters())

    def memory(self) -> list[Tensor]:
        return list(self._module.parameters())

    def norms(self) -> list[_BatchNorm]:
        self._train()
        layers = [m for m in self._module.modules() if isinstance(m, _BatchNorm)]
        return [layer for layer in layers if layer.training and layer.track_running_stats]

    def buffers(self) -> Tensor:
        rows = [buffer.flatten().to(self._dtype) for buffer in self._module.buffers()]
        none = torch.zeros(0, dtype=self._dtype, device=self._device)
        return torch.cat([none, *rows]).unsqueeze(0)

    def set_buffers(self, rows: Tensor) -> None:
        own = list(self._module.buffers())
        parts = torch.split(rows[0], [buffer.numel() for buffer in own])
        for buffer, part in zip(own, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    def generators(self) -> list[Mapping[str, Tensor]]:
        return [generator_states(self._device)]

    def set_generators(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        (state,) = states
        set_generator_states(state, self._device)

    def parameters_of(
        self, model: int, flat: bool, groups: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        own = list(self._module.parameters())
        return [[own[position] for position in group] for group in groups]

    def train_only(self, positions: Collection[int]) -> None:
        self.zero_grad()
        for i, p in enumerate(self._module.parameters()):
            p.requires_grad_(self._trainable[i] and i in positions)
        norms = [m for m in self._module.modules() if isinstance(m, _BatchNorm)]
        self._still = [m for m in norms if not any(p.requires_grad for p in m.parameters())]

    def finite(self) -> Tensor:
        checks = [p.detach().isfinite().all() for p in self._module.parameters()]
        return torch.stack(checks).all().unsqueeze(0)

    def intact(self, model: int) -> bool:
        return True

    def state(self, model: int) -> dict[str, Tensor]:
        state: dict[str, Any] = self._module.state_dict()
        return {name: value.detach().clone() for name, value in state.items()}

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        self._module.load_state_dict(state)
