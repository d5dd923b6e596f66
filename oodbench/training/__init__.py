"""The one training loop, the stack of models it drives, evaluation."""

from oodbench.training.loop import DTYPES, train
from oodbench.training.tensors import Tensors, load

__all__ = ["DTYPES", "Tensors", "load", "train"]
