"""Averaged SGD; what is evaluated is the average of its iterates from step t0 on."""

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, uniform

ASGD = OptimizerSpec(
    "asgd",
    "non-adaptive",
    {
        "lr": log(1e-3, 1.0),
        "lambd": log(1e-6, 1e-2),
        "alpha": uniform(0.5, 1.0),
        "t0": log(1.0, 1000.0),
        "weight_decay": log(1e-6, 1e-3),
    },
    builder("oodbench.optimizers.rules.averaged_sgd", "AveragedSGD"),
    flat=True,
    waits=True,
    averages=True,
    reference="Polyak & Juditsky 1992",
)
