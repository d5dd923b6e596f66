"""Data-parallel training: DDP, Local SGD, DiLoCo, PALSGD; simulated, or on processes."""
