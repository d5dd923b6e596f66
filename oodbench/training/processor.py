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


def use_one_thread() -> None:
    """Let torch and numpy compute on one core from now on."""
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees.

    A stack's step frees megabytes that the next one needs. glibc gives them back to the kernel in
    between, and that they are zeroed and mapped anew takes up to a third of the time of small
    models. Does nothing where the C library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        _ = mallopt(MMAP_THRESHOLD, KEPT) or mallopt(MMAP_THRESHOLD, MOST_BEFORE)
        mallopt(TRIM_THRESHOLD, KEPT)
