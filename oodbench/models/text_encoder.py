"""DistilBERT, BERT and other text encoders: fine-tuned, or frozen under a head."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from oodbench.data.encoders import Encoder
from oodbench.models.head import frozen, head
from oodbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

OPTIONS: dict[str, Any] = {
    "encoder": "distilbert-base-uncased",
    "train": ("all", "head"),
    "pool": ("first", "mean"),
    "pretrained": True,
    "dropout": 0.0,
    "hidden": 0,
}
"""``encoder``: the name of its folder. ``pool``: the state of the first token, as in WILDS, or the
mean over a text's tokens, as sentence encoders do. The others are those of backbones."""


def pretrained(options: Mapping[str, Any]) -> str:
    """The sha256 of the weights file; empty: random weights."""
    return Encoder(options["encoder"]).sha256 if options["pretrained"] else ""


def body(options: Mapping[str, Any]) -> "nn.Module":
    """The network from tokens to features."""
    from oodbench.models.layers import TextFeatures

    network = Encoder(options["encoder"]).model(options["pretrained"])
    return TextFeatures(network, mean=options["pool"] == "mean")


def build(input_shape: tuple[int, ...], num_classes: int, **options: Any) -> "nn.Sequential":
    """The encoder, unless only a head is trained, and the head, its last layer linear."""
    if options["train"] == "head":
        (width,) = input_shape
        return head({}, width, num_classes, options)
    network = body(options)
    return head({"body": network}, int(network.width), num_classes, options)  # type: ignore[arg-type]


TEXT_ENCODER = ModelSpec(
    "text_encoder",
    build,
    options=OPTIONS,
    summary="A pretrained text encoder by the name of its folder: DistilBERT, BERT, MiniLM, ...",
    reference="Devlin et al. 2019; Sanh et al. 2019",
    pretrained=pretrained,
    frozen=partial(frozen, "text_encoder", body),
    frozen_by=("pool",),
    reads="encoder",
)
