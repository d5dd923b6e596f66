"""Runs as tables: what to call them, which to keep, what each search and run holds."""
