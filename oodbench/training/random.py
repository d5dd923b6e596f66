"""Draws that only torch's global generator can make, without disturbing it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generators with ``seed`` inside, and restore them after."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
