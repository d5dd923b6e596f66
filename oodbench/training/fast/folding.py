"""Frozen convolutional networks with each BatchNorm folded into the convolution before it.

A BatchNorm that is not trained multiplies and shifts channels by constants, and so does a
convolution: two passes over the images' memory become one. What follows what is seen from a run,
so a network needs no layout of its own, and what comes out is compared with what came out before.
"""

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

ROUNDING = 1e-4
"""By which a folded network may differ from what it was, of its largest output."""


@torch.no_grad()
def folded(body: nn.Module, images: Tensor) -> nn.Module:
    """The network in eval mode with fewer layers; itself where nothing can be folded.

    Args:
        body: Network from images; it is not changed.
        images: Some, as it takes them.
    """
    expected = body(images)
    result = deepcopy(body)
    for convolution, norm in follows(result, images):
        fold(result, convolution, norm)
    found = result(images)
    close = (found - expected).abs().max() <= ROUNDING * expected.abs().max()
    return result if close else body


def follows(body: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions that are run once, each with the BatchNorm that takes what it gives."""
    made: list[tuple[Tensor, nn.Conv2d]] = []
    taken: list[tuple[Tensor, nn.BatchNorm2d]] = []

    def note(into: list[Any], which: int, module: nn.Module, inputs: Any, outputs: Any) -> None:
        into.append(((outputs, inputs[0])[which], module))  # keeps it: no other gets its place

    handles = []
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(partial(note, made, 0)))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            handles.append(module.register_forward_hook(partial(note, taken, 1)))
    body(images)
    for handle in handles:
        handle.remove()
    by_output = {id(output): convolution for output, convolution in made}
    pairs = [(by_output[id(x)], norm) for x, norm in taken if id(x) in by_output]
    used = [id(module) for _, module in (*made, *taken)]
    return [pair for pair in pairs if all(used.count(id(module)) == 1 for module in pair)]


def fold(body: nn.Module, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give the convolution the norm's constants, and let the norm do nothing."""
    mean, variance, dtype = norm.running_mean, norm.running_var, convolution.weight.dtype
    assert mean is not None
    assert variance is not None
    bias, scale, shift = (
        None if c is None else c.double() for c in (convolution.bias, norm.weight, norm.bias)
    )  # in float64, to round once
    weight, bias = fuse_conv_bn_weights(
        convolution.weight.double(),
        bias,
        mean.double(),
        variance.double(),
        norm.eps,
        scale,
        shift,
    )
    convolution.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    # timm's BatchNorm goes on with an activation.
    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    (name,) = (name for name, module in body.named_modules() if module is norm)
    parent, _, child = name.rpartition(".")
    setattr(body.get_submodule(parent), child, nn.Sequential(*rest) if rest else nn.Identity())
