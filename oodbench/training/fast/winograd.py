"""3 x 3 convolutions on CPUs with under half of the multiplications (Winograd; Lavin & Gray 2016).

A 2 x 2 tile of an output channel depends on a 4 x 4 tile of the inputs. Seen as polynomials that
are multiplied by their values at 4 points, a tile costs 16 products for each pair of channels
instead of 36: 16 matrix products, between two small linear maps of the tiles. That is exact but
for rounding. The plain convolution is the reference, and is used on GPUs, in other precisions (in
``bf16`` too) and for other shapes.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

OUT = 2
"""Side of an output tile."""
IN = OUT + 2
"""Side of an input tile."""
POINTS = (0, 1, -1)
"""And infinity."""
TILES = 196
"""Handled at once, or one image: few enough for a CPU's cache."""
FEWEST = 32
"""Channels on either side from which it is faster."""


@cache
def maps(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """What takes input tiles (16), kernels (9) and gradients of output tiles (4) to 16 values.

    In one dimension: values of a polynomial with n coefficients are V(n) @ coefficients, so the
    product of polynomials g (3) and a (OUT) is inverse(V(IN)) @ (V(3) g * V(OUT) a); the transpose
    of that in a is the convolution. In two, each map is applied along rows and columns.
    """

    def values(n: int) -> Any:
        powers = np.array(POINTS, dtype=float)[:, None] ** np.arange(n)
        return np.vstack([powers, np.eye(n)[-1:]])

    both = (np.linalg.inv(values(IN)).T, values(3), values(OUT))
    of_inputs, of_kernels, of_outputs = (torch.from_numpy(np.kron(m, m)).to(dtype) for m in both)
    return of_inputs, of_kernels, of_outputs


def tiled(x: Tensor, size: int, mapped_by: Tensor) -> Tensor:
    """Values (16, tiles, C) of the tiles of (B, H, W, C), one every OUT pixels, of this side."""
    tiles = x.unfold(1, size, OUT).unfold(2, size, OUT).permute(4, 5, 0, 1, 2, 3)
    return (mapped_by @ tiles.reshape(size * size, -1)).view(IN * IN, -1, x.shape[3])


def padded(x: Tensor, border: int) -> Tensor:
    """(B, C, H, W) as (B, H', W', C), filled up to whole tiles, behind a border of zeros."""
    bottom, right = (-side % OUT + border for side in x.shape[2:])
    return pad(x.permute(0, 2, 3, 1), (0, 0, border, right, border, bottom))


class Convolution(torch.autograd.Function):
    """A convolution of (B, C, H, W) with (C', C, 3, 3), padding 1, in pieces of a few images."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """The outputs (B, C', H, W), channels last."""
        ctx.save_for_backward(x, weight)
        return convolved(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        """Gradients of x (only if asked for) and of the weight."""
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = convolved(grad, weight.flip(2, 3).transpose(0, 1))
        of_inputs, of_kernels, of_outputs = maps(x.dtype)
        inputs, grads = padded(x, 1), padded(grad, 0)
        total = x.new_zeros(IN * IN, x.shape[1], grad.shape[1])
        for images in pieces(x):
            values = tiled(inputs[images], IN, of_inputs)
            total.baddbmm_(values.transpose(1, 2), tiled(grads[images], OUT, of_outputs))
        kernels = (of_kernels.T @ total.flatten(1)).view(3, 3, x.shape[1], grad.shape[1])
        return of_x, kernels.permute(3, 2, 0, 1)


def pieces(x: Tensor) -> list[slice]:
    """Which of the images (B, C, H, W) to handle at once."""
    size = max(1, TILES // (-(-x.shape[2] // OUT) * -(-x.shape[3] // OUT)))
    return [slice(start, start + size) for start in range(0, len(x), size)]


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """See ``Convolution``."""
    of_inputs, of_kernels, of_outputs = maps(x.dtype)
    outputs, channels = weight.shape[:2]
    kernels = of_kernels @ weight.permute(2, 3, 1, 0).reshape(9, -1)
    kernels = kernels.view(IN * IN, channels, outputs)
    inputs = padded(x, 1)
    height, width = (-(-side // OUT) for side in x.shape[2:])
    result = x.new_empty(len(x), height, OUT, width, OUT, outputs)
    for images in pieces(x):
        products = torch.bmm(tiled(inputs[images], IN, of_inputs), kernels)
        tiles = (of_outputs.T @ products.flatten(1)).view(OUT, OUT, -1, height, width, outputs)
        result[images].copy_(tiles.permute(2, 3, 0, 4, 1, 5))
    whole = result.view(len(x), height * OUT, width * OUT, outputs)
    return whole[:, : x.shape[2], : x.shape[3]].permute(0, 3, 1, 2)


class Conv2d(nn.Conv2d):
    """A 3 x 3 convolution that takes the fast way in float32 on a CPU, without autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """As its parent's."""
        plain = x.device.type != "cpu" or x.dtype != torch.float32  # float64: exact comparisons
        if plain or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        out: Tensor = Convolution.apply(x, self.weight)
        return out if self.bias is None else out + self.bias[:, None, None]


def pays() -> bool:
    """Whether this processor is one on which it is faster.

    With AVX2 the products are as fast as torch's convolution, and half as many. With AVX-512 the
    convolution has twice the speed, the products (MKL's, on AMD's processors) have not. Elsewhere
    nobody measured: docs/performance.md.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def with_fast_convolutions(module: nn.Module) -> nn.Module:
    """The module, its convolutions of the right shape now taking the fast way."""
    for part in module.modules():
        if type(part) is nn.Conv2d and fits(part):
            part.__class__ = Conv2d  # same parameters, same names
    return module


def fits(conv: nn.Conv2d) -> bool:
    """Whether a convolution has a shape that is faster in this way."""
    shape = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
    many = min(conv.in_channels, conv.out_channels) >= FEWEST
    return many and shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and conv.padding_mode == "zeros"
