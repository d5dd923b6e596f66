"""The one training loop, the stack of models it drives, evaluation."""

from oodbench.training.checkpoints import NOTHING, Saving
from oodbench.training.clock import Clock, clock_of
from oodbench.training.cohorts import Distribute, train
from oodbench.training.inputs.tensors import Tensors, load
from oodbench.training.precision import DTYPES

__all__ = [
    "DTYPES",
    "NOTHING",
    "Clock",
    "Distribute",
    "Saving",
    "Tensors",
    "clock_of",
    "load",
    "train",
]
