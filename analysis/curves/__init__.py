"""OOD accuracy as a function of ID accuracy: fits, verdicts, differences at equal ID accuracy."""
