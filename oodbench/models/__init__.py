"""Backbones by name, one a file. To add one: write its file, list it here."""

from oodbench.models.mlp import MLP
from oodbench.models.mnist_cnn import MNIST_CNN
from oodbench.models.spec import ModelSpec
from oodbench.registry import Registry

__all__ = ["MODELS", "ModelSpec"]

MODELS: Registry[ModelSpec] = Registry("model", [MLP, MNIST_CNN])
