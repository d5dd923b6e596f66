"""The layers of EfficientNet-Lite0; parameters are called as in its weights file."""

import math
from typing import Any

import torch.nn.functional as f
from torch import Tensor, nn

from oodbench.models.parts import WITH_PREVIOUS

STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""Blocks, kernel size, stride of the first block, expansion, channels in, channels out."""
FEATURES = 1280


class Same(nn.Conv2d):
    """A convolution that pads as TensorFlow does: right and below by one more where it is odd."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the padded images."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (
            max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]
        )
        sides = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(f.pad(x, sides))


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch normalisation with the constants of the original."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Expansion, depthwise convolution and projection, added to the inputs where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, e: int) -> None:
        super().__init__()
        middle = inputs * e
        self.adds = stride == 1 and inputs == outputs
        self.expands = e != 1
        if self.expands:
            self._expand_conv = Same(inputs, middle, 1, bias=False)
            self._bn0 = norm(middle)
        self._depthwise_conv = Same(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = norm(middle)
        self._project_conv = Same(middle, outputs, 1, bias=False)
        self._bn2 = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, outputs, height / stride, width / stride)."""
        h = f.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        h = f.relu6(self._bn1(self._depthwise_conv(h)))
        h = self._bn2(self._project_conv(h))
        result: Tensor = x + h if self.adds else h
        return result


class EfficientNetLite0(nn.Module):
    """Normalised images to (n, ``FEATURES``) features."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2, bias=False), norm(32)
        blocks = []
        for count, kernel, stride, expansion, inputs, outputs in STAGES:
            for i in range(count):
                first = (inputs, stride) if i == 0 else (outputs, 1)
                blocks.append(Block(first[0], outputs, kernel, first[1], expansion))
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(320, FEATURES, 1, bias=False), norm(FEATURES)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of the network's parts; see ``oodbench.models.parts``."""
        last = (r"^_conv_head|_bn1", (WITH_PREVIOUS,))
        return {"stem": r"^_conv_stem|_bn0", "blocks": [(r"^_blocks\.(\d+)", None), last]}

    def forward(self, x: Tensor) -> Tensor:
        """The features of each image, averaged over its pixels."""
        x = f.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features: Tensor = f.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return features
