"""Algorithms by name, one loss a file. To add one: write its file, list it here."""

from oodbench.algorithms.coral import CORAL
from oodbench.algorithms.erm import ERM
from oodbench.algorithms.group_dro import GROUP_DRO
from oodbench.algorithms.irm import IRM
from oodbench.algorithms.spec import Algorithm as Algorithm
from oodbench.algorithms.spec import AlgorithmSpec as AlgorithmSpec
from oodbench.algorithms.spec import Setup as Setup
from oodbench.algorithms.vrex import VREX
from oodbench.registry import Registry

ALGORITHMS: Registry[AlgorithmSpec] = Registry("algorithm", [ERM, IRM, VREX, GROUP_DRO, CORAL])
