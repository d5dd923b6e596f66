"""What a run was trained with: versions, commit, device, arithmetic.

It is recorded, and never part of a trial's id.
"""

import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from oodbench.machine import blas_of, numpy_blas, processor


@cache
def code() -> dict[str, Any]:
    """Versions of the packages that decide results, and the commit, if this is a checkout."""
    packages = {name: version(name) for name in ("oodbench", "numpy")}
    root = Path(__file__).parents[2]
    git = {}
    if (root / ".git").exists():
        run = ["git", "-C", str(root)]
        try:
            commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True)
            changes = subprocess.run([*run, "status", "--porcelain"], capture_output=True)
            if commit.returncode == changes.returncode == 0:
                git = {"commit": commit.stdout.strip(), "dirty": bool(changes.stdout)}
        except FileNotFoundError:  # a checkout on a machine without git
            pass
    return {
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),  # with its build, such as +cu132
        **packages,
        **git,
    }


@cache
def arithmetic(device_type: str) -> dict[str, str]:
    """What rounds the numbers: near ties at selection may fall the other way with another."""
    return {
        "processor": processor(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "numpy_blas": numpy_blas(),
        "torch_blas": _torch_blas(),
        "convolutions": _convolutions(device_type),
    }


def _torch_blas() -> str:
    """The BLAS inside torch, such as ``MKL 2024.2``; else the library that it ships."""
    built = torch.__config__.show()
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", built)
    other = re.search(r"BLAS_INFO=(\w+)", built)
    return f"MKL {mkl[1]}" if mkl else blas_of("torch") or (other[1] if other else "")


def _convolutions(device_type: str) -> str:
    """The library of convolutions, such as ``oneDNN 3.12.0``; ``torch`` if it is off."""
    backends: Any = torch.backends
    if device_type == "cuda":
        return f"cuDNN {backends.cudnn.version()}" if backends.cudnn.enabled else "torch"
    version = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    on = backends.mkldnn.is_available() and backends.mkldnn.enabled
    return f"oneDNN {version[1] if version else ''}".strip() if on else "torch"


def device_name(device: torch.device) -> str:
    """The name of a device, such as ``cpu`` or ``NVIDIA H100``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def gpu(device: torch.device) -> dict[str, Any]:
    """A GPU's driver, and whether the same computation gives the same bits each time now."""
    if device.type != "cuda":
        return {}
    return {"driver": driver(), "deterministic": bool(torch.backends.cudnn.deterministic)}


@cache
def driver(file: Path = Path("/proc/driver/nvidia/version")) -> str:
    """NVIDIA's, such as ``570.86.15``; empty where the system does not say."""
    found = re.search(r"\d{3}\.\d+(\.\d+)?", file.read_text()) if file.exists() else None
    return found[0] if found else ""


def forget_peak(device: torch.device) -> None:
    """Let ``peak_memory`` of a GPU be that since now, not that of this process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Most bytes held: on a GPU since ``forget_peak``, else by this process; 0: not known."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # only Unix has it
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
