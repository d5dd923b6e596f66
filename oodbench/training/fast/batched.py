"""Layers for K models at once, written out: faster than ``vmap``, which is their reference.

A module that is a chain of linear layers, ReLUs and flattenings becomes three batched matrix
multiplications a layer and training step, the ReLU done in place, nothing computed that is not
needed. Any other module is left to ``vmap``.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.training.fast.products import product, product_plus

Forward = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""Parameters (K, *shape) by name and inputs (K, n, *shape) to logits (K, n, classes)."""


def batched_forward(module: nn.Module, shares: Sequence[int] = ()) -> Forward | None:
    """The forward pass of K models of this shape; None if there is no such fast path for it.

    Args:
        module: One of them; only its structure is read.
        shares: How many models in a row see the same inputs, where there are fewer than K of these.
    """
    if not isinstance(module, nn.Sequential):
        return None
    layers = list(module.named_children())
    if not layers or not all(type(part) in (nn.Linear, nn.ReLU, nn.Flatten) for _, part in layers):
        return None
    steps: list[tuple[str, bool]] = []  # name of a linear layer, and whether a ReLU follows
    for (name, part), (_, after) in pairwise([*layers, ("", None)]):
        if isinstance(part, nn.Linear):
            steps.append((name, isinstance(after, nn.ReLU)))
        elif isinstance(part, nn.Flatten) and (steps or part.start_dim != 1 or part.end_dim != -1):
            return None
    linear = sum(isinstance(part, nn.ReLU) for _, part in layers) == sum(relu for _, relu in steps)
    if not steps or not linear:  # a ReLU elsewhere than after a linear layer
        return None

    def forward(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        hidden = inputs.flatten(2)
        for name, relu in steps:
            layer = hidden, parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
            hidden = BatchedLinear.apply(*as_autocast(layer), relu, shares)
        return hidden

    return forward


def as_autocast(layer: tuple[Tensor, Tensor, Tensor | None]) -> list[Tensor | None]:
    """Inputs, weight and bias in the type in which autocast, if it is on, computes a product.

    This is done here, not by autocast in the forward pass below: the backward pass would meet the
    types that were given, and not those of the outputs.
    """
    kind = layer[0].device.type
    if not torch.is_autocast_enabled(kind):
        return list(layer)
    dtype = torch.get_autocast_dtype(kind)
    return [None if tensor is None else tensor.to(dtype) for tensor in layer]


class BatchedLinear(torch.autograd.Function):
    """K layers ``relu(x W^T + b)``, or without the ReLU: x (K, n, in), W (K, out, in), b (K, out).

    With ``shares`` there may be fewer x, which then get no gradients: see ``products.product``.

    The backward pass is made of differentiable operations, so it may itself be differentiated.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        relu: bool,
        shares: Sequence[int],
    ) -> Tensor:
        """The outputs (K, n, out)."""
        w = weight.transpose(1, 2)
        out = product(x, w, shares) if bias is None else product_plus(bias, x, w, shares)
        if relu:
            out.relu_()
        ctx.relu, ctx.shares = relu, shares
        ctx.save_for_backward(x, weight, *([out] if relu else []))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of those of x, W and b of which they are asked for."""
        (grad,) = grads
        x, weight, *out = ctx.saved_tensors
        if ctx.relu:
            grad = torch.ops.aten.threshold_backward(grad, out[0], 0.0)
        of_x = product(grad, weight) if ctx.needs_input_grad[0] else None
        learns, shifts = ctx.needs_input_grad[1:3]
        of_weight = product(grad.transpose(1, 2), x, ctx.shares) if learns else None
        of_bias = grad.sum(1) if shifts else None
        return of_x, of_weight, of_bias, None, None
