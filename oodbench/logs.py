"""How lines of a worker's log begin that say how far it is; ``run_sweep`` shows the last one."""

COMPUTING = "computing "
"""Something for the cache, such as frozen features."""

TRAINING = "training "
"""A run that takes long."""
