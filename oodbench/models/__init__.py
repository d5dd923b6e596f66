"""Backbones by name, one family a file. To add one: write its file, list it here."""

from oodbench.models.efficientnet_lite0 import EFFICIENTNET_LITE0
from oodbench.models.mlp import LINEAR, MLP
from oodbench.models.mnist_cnn import MNIST_CNN
from oodbench.models.resnet20 import RESNETS
from oodbench.models.spec import ModelSpec as ModelSpec
from oodbench.models.text_encoder import TEXT_ENCODER
from oodbench.models.timm_names import FAMILY, find
from oodbench.models.torchvision_models import TORCHVISION
from oodbench.models.wide_resnet import WIDE_RESNET
from oodbench.registry import Registry

MODELS: Registry[ModelSpec] = Registry(
    "model",
    [MLP, LINEAR, MNIST_CNN, *RESNETS, WIDE_RESNET, *TORCHVISION, EFFICIENTNET_LITE0, TEXT_ENCODER],
    find,
    [FAMILY.name],
)
