"""Optimizers by name, one family a file. To add one: write its file, list it here."""

import re
from dataclasses import replace

from oodbench.optimizers import pytorch_optimizer, replicated
from oodbench.optimizers.adafactor import ADAFACTOR
from oodbench.optimizers.adagrad import ADADELTA, ADAGRAD, RMSPROP
from oodbench.optimizers.adam import ADAM, ADAMAX, ADAMW, NADAM, RADAM
from oodbench.optimizers.asgd import ASGD
from oodbench.optimizers.muon import MUON
from oodbench.optimizers.rprop import RPROP
from oodbench.optimizers.sam import SAM, SAM_ADAM
from oodbench.optimizers.sam import sam_of as sam_of
from oodbench.optimizers.schedule_free import SCHEDULE_FREE_ADAMW, SCHEDULE_FREE_SGD
from oodbench.optimizers.sgd import MOMENTUM, NESTEROV, SGD
from oodbench.optimizers.smoothness_aware import SASAM, SASGD
from oodbench.optimizers.spec import OptimizerSpec as OptimizerSpec
from oodbench.registry import Registry


def find(name: str) -> OptimizerSpec | None:
    """What an unregistered name means: another package's, a distributed one, or a second name."""
    found = replicated.find(name, OPTIMIZERS.get) or pytorch_optimizer.find(name)
    return found or of_own_name(name)


def of_own_name(name: str) -> OptimizerSpec | None:
    """``adam(fixed)`` is Adam under a name that separates its search from another's; else None."""
    parts = re.fullmatch(r"([\w.]+)\([A-Za-z0-9][\w.-]*\)", name)
    return None if parts is None else replace(OPTIMIZERS.get(parts[1]), name=name)


OPTIMIZERS: Registry[OptimizerSpec] = Registry(
    "optimizer",
    [
        *(SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW),
        *(ADAGRAD, ADADELTA, ADAMAX, NADAM, RADAM, ADAFACTOR, ASGD, RPROP, MUON),
        *(SCHEDULE_FREE_SGD, SCHEDULE_FREE_ADAMW),
        *(SAM, SAM_ADAM, SASGD, SASAM),
    ],
    find=find,
    patterns=(pytorch_optimizer.PATTERN, replicated.PATTERN),
)
