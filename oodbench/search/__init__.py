"""What to try next: Optuna's samplers on our search spaces."""

from oodbench.search.adaptive import ADAPTIVE, Proposal, Tried, described, propose
from oodbench.search.designs import draw, grid, sobol
from oodbench.search.edges import EDGE, at_edge

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
