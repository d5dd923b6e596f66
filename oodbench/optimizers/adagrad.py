"""Adagrad and what forgets old gradients in its place: RMSProp and Adadelta, of ``torch.optim``."""

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, one_minus_log

WEIGHT_DECAY = log(1e-6, 1e-3)

ADAGRAD = OptimizerSpec(
    "adagrad",
    "adaptive",
    {"lr": log(1e-3, 1.0), "eps": log(1e-10, 1e-3), "weight_decay": WEIGHT_DECAY},
    builder("torch.optim", "Adagrad"),
    flat=True,
    reference="Duchi et al. 2011",
)

RMSPROP = OptimizerSpec(
    "rmsprop",
    "adaptive",
    {
        "lr": log(1e-4, 1e-1),
        "alpha": one_minus_log(0.9, 0.999),
        "eps": log(1e-8, 1e-3),
        "weight_decay": WEIGHT_DECAY,
    },
    builder("torch.optim", "RMSprop"),  # not centred, no momentum, as in the study
    flat=True,
    reference="Tieleman & Hinton 2012",
)

ADADELTA = OptimizerSpec(
    "adadelta",
    "adaptive",
    {
        "lr": log(1e-2, 10.0),
        "rho": one_minus_log(0.5, 0.999),
        "eps": log(1e-8, 1e-3),
        "weight_decay": WEIGHT_DECAY,
    },
    builder("torch.optim", "Adadelta"),
    flat=True,
    reference="Zeiler 2012 (arXiv 1212.5701)",
)
