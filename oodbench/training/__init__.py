"""The one training loop, the stack of models it drives, evaluation."""

from oodbench.training.checkpoints import EVERY, NOTHING, Saving
from oodbench.training.clock import Clock
from oodbench.training.cohorts import train
from oodbench.training.loop import DTYPES
from oodbench.training.tensors import Tensors, load

__all__ = ["DTYPES", "EVERY", "NOTHING", "Clock", "Saving", "Tensors", "load", "train"]
