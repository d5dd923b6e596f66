"""Optimizers against each other at an equal budget: on a task, and across tasks."""
