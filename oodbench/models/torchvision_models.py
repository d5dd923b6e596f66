"""Backbones that torchvision defines: ResNet-18 and -50, DenseNet-121, ViT-B/16."""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from oodbench.models.backbone import Backbone
from oodbench.models.pretrained import Weights
from oodbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

URL = "https://download.pytorch.org/models/"


def body(name: str, classifier: str) -> "nn.Module":
    """A torchvision model without the layer that classifies ImageNet's classes."""
    from torch import nn
    from torchvision.models import get_model

    model = get_model(name, weights=None)
    setattr(model, classifier, nn.Identity())
    return model  # type: ignore[no-any-return]


def name_of_densenet(old: str) -> str:
    """The name of a DenseNet's tensor. Its file has those of 2017: norm.1 is norm1 now."""
    return re.sub(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\..*)", r"\1\2", old)


def backbone(
    name: str,
    features: int,
    file: str,
    summary: str,
    reference: str,
    head: str = "fc",
    rename: Callable[[str], str] = str,
) -> ModelSpec:
    """A torchvision model with the weights that it calls IMAGENET1K_V1; see ``Backbone``."""
    return Backbone(
        name,
        partial(body, name, head.split(".")[0]),
        features,
        Weights(name, file, URL + file),
        head,
        rename,
        summary=summary,
        reference=reference,
    ).spec()


TORCHVISION = (
    backbone("resnet18", 512, "resnet18-f37072fd.pth", "ResNet-18.", "He et al. 2016"),
    backbone("resnet50", 2048, "resnet50-0676ba61.pth", "ResNet-50.", "He et al. 2016"),
    backbone(
        "densenet121",
        1024,
        "densenet121-a639ec97.pth",
        "DenseNet-121.",
        "Huang et al. 2017",
        "classifier",
        name_of_densenet,
    ),
    backbone(
        "vit_b_16",
        768,
        "vit_b_16-c867db91.pth",
        "Vision transformer B/16; images of 224 pixels.",
        "Dosovitskiy et al. 2021",
        "heads.head",
    ),
)
