"""A process that trains on a CPU keeps to one core and to its memory."""

import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from oodbench.training.fast import processor

FAULTS = """
import resource, torch
from oodbench.workers.place import find_device
find_device("cpu")

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(4):
    torch.ones(2**24)  # 64 MiB
before = faults()
for _ in range(4):
    torch.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_what_is_freed_is_used_again_without_the_kernel() -> None:
    """Mapped anew, each 64 MiB would be 16,384 pages, or 32 huge ones."""
    command = [sys.executable, "-c", FAULTS]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 32


def test_an_older_glibc_is_asked_for_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left at 128 KiB, where the other parameter alone would fix it, it would be far worse."""
    asked = []

    def mallopt(name: int, value: int) -> int:
        asked.append((name, value))
        return int((name, value) != (processor.MMAP_THRESHOLD, processor.KEPT))

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    processor._keep_freed_memory()
    names = (processor.MMAP_THRESHOLD, processor.MMAP_THRESHOLD, processor.TRIM_THRESHOLD)
    assert asked == list(zip(names, (2**30, 2**25, 2**30), strict=True))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    processor._keep_freed_memory()  # another C library


THREADS = """
import torch
from threadpoolctl import threadpool_info
from oodbench.workers.place import find_device
find_device("cpu")
print(torch.get_num_threads(), {one["num_threads"] for one in threadpool_info()})
"""


def test_torch_and_numpy_have_one_thread() -> None:
    command = [sys.executable, "-c", THREADS]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1 {1}"
