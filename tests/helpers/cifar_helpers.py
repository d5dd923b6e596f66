"""CIFAR-10 and its targets in their published layouts, with a few images of noise each."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def images(n: int, seed: int) -> np.ndarray:
    """(n, 32, 32, 3) bytes."""
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def labels(n: int) -> np.ndarray:
    """(n,) in no order."""
    return np.random.default_rng(n).permutation(np.arange(n) % 10)


def write_batches(root: Path, each: int = 20, protocol: int = 2) -> Path:
    """Six batches, keys and texts as Python 2 wrote them."""
    where = root / "cifar-10-batches-py"
    where.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels = images(each, seed).transpose(0, 3, 1, 2).reshape(each, -1)
        held: dict[bytes, Any] = {b"data": pixels, b"labels": labels(each).tolist()}
        held |= {b"batch_label": name.encode(), b"filenames": [b"a.png"] * each}
        (where / name).write_bytes(pickle.dumps(held, protocol))
    return where


def write_targets(root: Path, n: int = 20, corruptions: tuple[str, ...] = ("fog",)) -> None:
    """CIFAR-10.1 v6, CIFAR-10.2 and some corruptions of the test batch."""
    for folder in ("CIFAR-10.1/datasets", "cifar-10.2", "CIFAR-10-C"):
        (root / folder).mkdir(parents=True)
    np.save(root / "CIFAR-10.1/datasets/cifar10.1_v6_data.npy", images(n, 61))
    np.save(root / "CIFAR-10.1/datasets/cifar10.1_v6_labels.npy", labels(n).astype(np.int32))
    names: dict[str, Any] = {
        "label_names": np.array(CLASSES, dtype=object),
        "ti_indices": np.arange(n),
    }
    np.savez(root / "cifar-10.2/cifar102_test.npz", images=images(n, 62), labels=labels(n), **names)
    for seed, name in enumerate(corruptions):
        np.save(root / f"CIFAR-10-C/{name}.npy", images(5 * n, 70 + seed))
    np.save(root / "CIFAR-10-C/labels.npy", np.tile(labels(n), 5).astype(np.uint8))
