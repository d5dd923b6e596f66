"""Features of a frozen EfficientNet-Lite0: images a second, as they were computed, and as they are.

Images of 224 pixels: those of PACS where ``OODBENCH_DATA`` has it, else parts of scikit-learn's two
photographs. All ways are tried in turn, and the best round of each counts. In seconds of processor
time, too, which do not depend on who else uses the cores.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from domainbed_adapters.image_reading import read_image
from oodbench.data import data_roots
from oodbench.machine import cores
from oodbench.models import MODELS
from oodbench.training.fast.folding import folded
from oodbench.training.inputs.frozen import Features
from oodbench.training.inputs.stored import as_floats
from tests.benchmarks.images import write_photographs

CPU, IMAGES, ROUNDS = torch.device("cpu"), 48, 3
USUAL = 32
"""Images in one forward pass, as it was."""


def measure() -> Iterator[dict[str, object]]:
    """A row for each way."""
    spec, pixels = MODELS.get("efficientnet_lite0"), some_images()
    body = spec.frozen({**spec.defaults, "train": "head"})
    assert body is not None

    def plain(module: torch.nn.Module, last: bool) -> Callable[[], NDArray[Any]]:
        form = torch.channels_last if last else torch.contiguous_format

        @torch.inference_mode()
        def run() -> NDArray[Any]:
            torch.set_num_threads(cores())
            parts = torch.from_numpy(pixels).contiguous(memory_format=form).split(USUAL)
            return torch.cat([module(as_floats(part, torch.float32)) for part in parts]).numpy()

        return run

    fast = Features("bench", [], body, CPU)
    light = folded(body, as_floats(torch.from_numpy(pixels[:1]), torch.float32))
    ways = {
        "as it was: batches of 32, cores share them": plain(body, False),
        "channels last": plain(body, True),
        "BatchNorm folded": plain(light, False),
        "BatchNorm folded, channels last": plain(light, True),
        "these, a batch of 8 for each core": lambda: written(fast, pixels),
    }
    wall, busy = dict.fromkeys(ways, np.inf), dict.fromkeys(ways, np.inf)
    found: dict[str, NDArray[Any]] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start, spent = time.perf_counter(), time.process_time()
            found[name] = way()
            wall[name] = min(wall[name], time.perf_counter() - start)
            busy[name] = min(busy[name], time.process_time() - spent)
    first = next(iter(ways))
    for name in ways:
        yield {
            "what": name,
            "images/s": round(IMAGES / wall[name], 1),
            "times": round(wall[first] / wall[name], 2),
            "images/s of processor": round(IMAGES / busy[name], 1),
            "times ": round(busy[first] / busy[name], 2),
            "largest difference": f"{np.abs(found[name] - found[first]).max():.1e}",
        }


def written(features: Features, pixels: NDArray[Any]) -> NDArray[Any]:
    """What a worker writes to the cache."""
    result = np.zeros((len(pixels), 1280), np.float32)
    features.fill(pixels, result)
    return result


def some_images() -> NDArray[np.uint8]:
    """(``IMAGES``, 3, 224, 224), from all of a folder."""
    with tempfile.TemporaryDirectory() as made:
        folders = [root / "PACS" for root in data_roots() if (root / "PACS").is_dir()]
        if not folders:
            write_photographs(Path(made))
        files = sorted((folders or [Path(made)])[0].rglob("*.jpg"))
        return np.stack([read_image(file, 224) for file in files[:: len(files) // IMAGES][:IMAGES]])
