"""A sweep file: what YAML may say, checked, and the studies and trials that it means."""

from oodbench.sweep.files import load_sweep, load_sweeps
from oodbench.sweep.spec import SweepSpec, parse_sweep
from oodbench.sweep.study import Study

__all__ = ["Study", "SweepSpec", "load_sweep", "load_sweeps", "parse_sweep"]
