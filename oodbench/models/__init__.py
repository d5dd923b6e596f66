"""Backbones by name, one a file. To add one: write its file, list it here."""

from oodbench.models.efficientnet_lite0 import EFFICIENTNET_LITE0
from oodbench.models.linear import LINEAR
from oodbench.models.mlp import MLP
from oodbench.models.mnist_cnn import MNIST_CNN
from oodbench.models.spec import ModelSpec as ModelSpec
from oodbench.models.text_encoder import TEXT_ENCODER
from oodbench.models.torchvision_models import DENSENET121, RESNET18, RESNET50, VIT_B_16
from oodbench.registry import Registry

MODELS: Registry[ModelSpec] = Registry(
    "model",
    [
        *(MLP, LINEAR, MNIST_CNN),
        *(RESNET18, RESNET50, DENSENET121, VIT_B_16, EFFICIENTNET_LITE0),
        TEXT_ENCODER,
    ],
)
