"""The one training loop, the stack of models it drives, evaluation."""

from oodbench.training.checkpoints import NOTHING as NOTHING
from oodbench.training.checkpoints import Saving as Saving
from oodbench.training.clock import Clock as Clock
from oodbench.training.clock import clock_of as clock_of
from oodbench.training.cohorts import Distribute as Distribute
from oodbench.training.cohorts import train as train
from oodbench.training.inputs.tensors import Tensors as Tensors
from oodbench.training.inputs.tensors import load as load
from oodbench.training.precision import DTYPES as DTYPES
