"""How a process that trains on a CPU uses it."""

import ctypes

import torch
from threadpoolctl import threadpool_limits

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of two parameters to ``mallopt``."""
KEPT = 2**30
"""Bytes of freed memory that may be kept; more are asked of the kernel and given back each time."""
MOST_BEFORE = 2**25
"""The most that glibc before 2.35 takes for ``MMAP_THRESHOLD``."""


def prepare_for_cpu() -> None:
    """Let this process compute on one core from now on, and keep the memory that it frees."""
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # numpy's
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Ask the C library not to give memory back to the kernel, if it is glibc.

    A stack's step frees megabytes that the next one needs. glibc gives them back in between, and
    that they are zeroed and mapped anew takes up to a third of the time of small models.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        _ = mallopt(MMAP_THRESHOLD, KEPT) or mallopt(MMAP_THRESHOLD, MOST_BEFORE)
        mallopt(TRIM_THRESHOLD, KEPT)
