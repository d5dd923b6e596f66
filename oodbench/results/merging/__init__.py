"""Whole databases: check one, copy it, put several together."""
