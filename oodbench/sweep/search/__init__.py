"""What to try next: Optuna's samplers on our search spaces."""

from oodbench.sweep.search.adaptive import ADAPTIVE as ADAPTIVE
from oodbench.sweep.search.adaptive import Tried as Tried
from oodbench.sweep.search.adaptive import described as described
from oodbench.sweep.search.adaptive import propose as propose
from oodbench.sweep.search.designs import draw as draw
from oodbench.sweep.search.designs import grid as grid
from oodbench.sweep.search.designs import sobol as sobol
