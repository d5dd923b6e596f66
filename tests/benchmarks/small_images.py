"""Seconds to load 60,000 images of 32 x 32 pixels: the first time, and from the cache."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from domainbed_adapters.cifar_files import CLASSES, PUBLISHED, SIZE

LOAD = """
import time
from oodbench.data import DATASETS
began = time.perf_counter()
data = DATASETS.get("%s").load(%r, 0)
data.fingerprint
print(time.perf_counter() - began)
"""
DATASETS = {
    "ImageFolders": {"folder": "small", "size": SIZE},
    "CIFAR10": {"folder": "small", "targets": ["fog-1"], "partial": True},
}
"""The same folders, as the one and as the other; a target must be there."""


def measure() -> Iterator[dict[str, object]]:
    """A row for each dataset and load, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "data")
        places = {"OODBENCH_DATA": f"{folder}/data", "OODBENCH_CACHE": f"{folder}/cache"}
        for name, options in DATASETS.items():
            for load in ("first", "second"):
                done = subprocess.run(
                    [sys.executable, "-c", LOAD % (name, options)],
                    env={**os.environ, **places},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                seconds = round(float(done.stdout), 2)
                yield {"dataset": name, "load": load, "seconds": seconds}


def write(root: Path) -> None:
    """``small/{train,test}/CLASS/IMAGE.png``, and a corruption of ten images: all noise."""
    draws = np.random.default_rng(0)
    for part, images in PUBLISHED.items():
        for kind in CLASSES:
            folder = root / "small" / part / kind
            folder.mkdir(parents=True)
            for number in range(images // len(CLASSES)):
                pixels = draws.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:04}.png")
    corrupted = root / "CIFAR-10-C"
    corrupted.mkdir()
    np.save(corrupted / "fog.npy", draws.integers(0, 256, (50, SIZE, SIZE, 3), dtype=np.uint8))
    np.save(corrupted / "labels.npy", np.tile(np.arange(10, dtype=np.uint8), 5))
