"""A sweep file: what YAML may say, checked, and the studies and trials that it means."""

from oodbench.sweep.files import load_sweep as load_sweep
from oodbench.sweep.files import load_sweeps as load_sweeps
from oodbench.sweep.spec import SweepSpec as SweepSpec
from oodbench.sweep.spec import parse_sweep as parse_sweep
from oodbench.sweep.study import Study as Study
