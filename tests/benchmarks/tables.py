"""Seconds and peak memory to load a table of 1,000,000 rows and 30 numbers."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROWS, NUMBERS, ENVIRONMENTS = 1_000_000, 30, 4
LOAD = """
import resource, time
from oodbench.data import DATASETS
options = {"file": "numbers.%s", "duplicates": "keep"}
began = time.perf_counter()
data = DATASETS.get("Table").load(options, 0)
data.fingerprint
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure() -> Iterator[dict[str, object]]:
    """A row for each format, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for kind in ("csv", "parquet"):
            done = subprocess.run(
                [sys.executable, "-c", LOAD % kind],
                env={**os.environ, "OODBENCH_DATA": folder, "OODBENCH_CACHE": f"{folder}/cache"},
                check=True,
                capture_output=True,
                text=True,
            )
            seconds, kilobytes = map(float, done.stdout.split())
            yield {
                "file": kind,
                "MB": round((Path(folder) / f"numbers.{kind}").stat().st_size / 1e6),
                "seconds": round(seconds, 1),
                "peak GiB": round(kilobytes / 2**20, 2),
            }


def write(folder: Path) -> None:
    """``numbers.csv`` and ``numbers.parquet``, of noise with two labels."""
    import pandas as pd

    draws = np.random.default_rng(0)
    numbers = draws.normal(size=(ROWS, NUMBERS)).round(6)
    frame = pd.DataFrame(numbers, columns=[f"x{i}" for i in range(NUMBERS)])
    frame["label"] = np.where(numbers[:, 0] + draws.normal(size=ROWS) > 0, "yes", "no")
    frame["environment"] = draws.integers(0, ENVIRONMENTS, ROWS)
    frame.to_parquet(folder / "numbers.parquet", index=False)
    frame.to_csv(folder / "numbers.csv", index=False)
