"""Figures, one per file: each takes numbers that were computed apart and returns a Figure."""
