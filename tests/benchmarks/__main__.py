"""Run benchmarks and print what they measure: ``make bench``, or ``make bench BENCH=queue_load``.

A benchmark is a file here with a function ``measure``, which gives the rows of its table, and a
docstring whose first line is the title; it is listed below.
"""

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd

BENCHMARKS = (
    *("queue_load", "scaling", "stacks", "peak", "workers", "figures", "report", "images"),
    *("parallel", "phases", "bf16", "compile", "predictions", "features", "small_images"),
    *("tables", "scale", "loading", "thousand"),
)


def machine() -> str:
    """Processor, cores that may be used, memory."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = next(models, platform.processor())
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def main(wanted: list[str]) -> None:
    """Run the benchmarks that are named, all of them if none is."""
    unknown = set(wanted) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    print(machine())
    for name in wanted or BENCHMARKS:
        module = import_module(f"tests.benchmarks.{name}")
        print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        print(pd.DataFrame(module.measure()).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])
