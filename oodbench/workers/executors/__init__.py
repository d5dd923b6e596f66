"""Executors start the workers somewhere. They do nothing else."""
