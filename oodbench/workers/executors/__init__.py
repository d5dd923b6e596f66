"""Who starts the workers, and where. Executors do nothing else."""
