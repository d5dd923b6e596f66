"""Backbones that torchvision defines: ResNet-18 and -50, DenseNet-121, ViT-B/16."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oodbench.models.backbone import Backbone
from oodbench.models.pretrained import Weights

if TYPE_CHECKING:
    from torch import nn

HEADS = {"resnet18": "fc", "resnet50": "fc", "densenet121": "classifier", "vit_b_16": "heads"}
"""Name of the part that names ImageNet's classes."""
LAST = {**HEADS, "vit_b_16": "heads.head"}
"""Name of its layer."""
URL = "https://download.pytorch.org/models/"


def body_of(name: str) -> "Callable[[], nn.Module]":
    """Makes a torchvision model without its last layer."""

    def body() -> "nn.Module":
        from torch import nn
        from torchvision.models import get_model

        model = get_model(name, weights=None)
        setattr(model, HEADS[name], nn.Identity())
        return model  # type: ignore[no-any-return]

    return body


def keep(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Takes torchvision's file to the parameters of ``body_of(name)``."""

    def keep(state: dict[str, Any]) -> dict[str, Any]:
        import re

        if name == "densenet121":  # its file has the names of 2017: norm.1 is norm1 now
            old = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\..*)")
            state = {old.sub(r"\1\2", key): value for key, value in state.items()}
        return {k: v for k, v in state.items() if not k.startswith(f"{HEADS[name]}.")}

    return keep


def backbone(name: str, features: int, file: str, summary: str, reference: str) -> Backbone:
    """A torchvision model with the weights that it calls IMAGENET1K_V1."""
    weights = Weights(name, file, URL + file)
    return Backbone(
        name,
        body_of(name),
        features,
        weights,
        keep(name),
        LAST[name],
        summary=summary,
        reference=reference,
    )


RESNET18, RESNET50, DENSENET121, VIT_B_16 = (
    backbone(*about).spec()
    for about in (
        ("resnet18", 512, "resnet18-f37072fd.pth", "ResNet-18.", "He et al. 2016"),
        ("resnet50", 2048, "resnet50-0676ba61.pth", "ResNet-50.", "He et al. 2016"),
        ("densenet121", 1024, "densenet121-a639ec97.pth", "DenseNet-121.", "Huang et al. 2017"),
        (
            "vit_b_16",
            768,
            "vit_b_16-c867db91.pth",
            "Vision transformer B/16; images of 224 pixels.",
            "Dosovitskiy et al. 2021",
        ),
    )
)
