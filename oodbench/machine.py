"""The libraries and processor of this machine, as far as they are known without torch."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ARITHMETIC = ("processor", "vector_instructions", "numpy_blas", "torch_blas", "convolutions")
"""What of a run's provenance says which arithmetic it was computed with."""

WORKERS_ON_GPU = "OODBENCH_WORKERS_ON_GPU"
"""Names how many workers share a GPU, in the environment of each."""
WORKERS_HERE = "OODBENCH_WORKERS_HERE"
"""Names how many workers share the cores that each of them may use."""


def cores() -> int:
    """CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, products take one thread: those of many small matrices wait for others otherwise."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


@cache
def processor() -> str:
    """The processor's name, such as ``AMD EPYC 9R14``; its architecture if that is unknown."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


@cache
def blas_of(package: str) -> str:
    """The BLAS that a loaded package brought along and the kernel that it chose for this processor.

    Such as ``openblas 0.3.31 SkylakeX``; empty if none was found.
    """
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas" and package in library["filepath"]:
            parts = (library[part] for part in ("internal_api", "version", "architecture"))
            return " ".join(part for part in parts if part)
    return ""


@cache
def numpy_blas() -> str:
    """What computes numpy's products; without its kernel where another package brought it."""
    import numpy as np

    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"]
    return blas_of("numpy") or f"{blas['name']} {blas['version']}"
