"""What to try next: Optuna's samplers on our search spaces."""

from oodbench.sweep.search.adaptive import ADAPTIVE, Proposal, Tried, described, propose
from oodbench.sweep.search.designs import draw, grid, sobol
from oodbench.sweep.search.edges import EDGE, at_edge

__all__ = [
    "ADAPTIVE",
    "EDGE",
    "Proposal",
    "Tried",
    "at_edge",
    "described",
    "draw",
    "grid",
    "propose",
    "sobol",
]
