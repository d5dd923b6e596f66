"""Optimizers by name, one family a file. To add one: write its file, list it here."""

from oodbench.optimizers.adam import ADAM, ADAMW
from oodbench.optimizers.rmsprop import RMSPROP
from oodbench.optimizers.sgd import MOMENTUM, NESTEROV, SGD
from oodbench.optimizers.spec import OptimizerSpec
from oodbench.registry import Registry

__all__ = ["OPTIMIZERS", "OptimizerSpec"]

OPTIMIZERS: Registry[OptimizerSpec] = Registry(
    "optimizer", [SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW]
)
