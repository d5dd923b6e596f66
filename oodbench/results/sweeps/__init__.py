"""Sweeps in the database: plan, divide, add, grow, change, and see how far one is."""
