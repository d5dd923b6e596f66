"""What a run was trained with: versions, commit, device. Recorded, never part of a trial's id."""

import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


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


def device_name(device: torch.device) -> str:
    """Such as ``cpu`` or ``NVIDIA H100``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: of the device on a GPU, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
