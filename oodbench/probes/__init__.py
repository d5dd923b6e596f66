"""Measured along or after a run, or of a dataset, never steering training: one probe a file."""
