"""Adafactor: second moments of a matrix by rows and columns, no momentum."""

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, uniform

ADAFACTOR = OptimizerSpec(
    "adafactor",
    "adaptive",
    # lr is relative to the size of the parameters.
    {"lr": log(1e-4, 1e-1), "beta2_decay": uniform(-1.0, -0.5), "weight_decay": log(1e-4, 0.3)},
    builder("torch.optim", "Adafactor"),
    waits=True,
    decoupled_decay=True,
    reference="Shazeer & Stern 2018 (arXiv 1804.04235)",
)
