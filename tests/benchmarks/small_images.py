"""Seconds to load 60,000 images of 32 x 32 pixels: the first time, and from the cache."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ENVIRONMENTS, CLASSES, EACH, SIZE = "abc", 10, 2000, 32
LOAD = """
import time
from oodbench.data import DATASETS
began = time.perf_counter()
data = DATASETS.get("ImageFolders").load({"folder": "small", "size": %d}, 0)
data.fingerprint
print(time.perf_counter() - began)
"""


def measure() -> Iterator[dict[str, object]]:
    """A row for each load, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "data" / "small")
        places = {"OODBENCH_DATA": f"{folder}/data", "OODBENCH_CACHE": f"{folder}/cache"}
        for load in ("first", "second"):
            command = [sys.executable, "-c", LOAD % SIZE]
            done = subprocess.run(
                command, env={**os.environ, **places}, check=True, capture_output=True, text=True
            )
            yield {
                "load": load,
                "images": len(ENVIRONMENTS) * CLASSES * EACH,
                "seconds": float(done.stdout),
            }


def write(root: Path) -> None:
    """``root/environment/class/image.png``, of noise."""
    draws = np.random.default_rng(0)
    for environment in ENVIRONMENTS:
        for kind in range(CLASSES):
            folder = root / environment / f"c{kind}"
            folder.mkdir(parents=True)
            for number in range(EACH):
                pixels = draws.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:04}.png")
