"""MNIST, the real one where it is, and a small one that takes its place elsewhere."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from domainbed_adapters import mnist_files

COUNTS = {"train": 60, "t10k": 10}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test touches the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OODBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture
def real_mnist(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with MNIST, as the machine's own."""
    root = os.environ.get("OODBENCH_TEST_DATA", "")
    if not (root and (Path(root) / mnist_files.FOLDER).is_dir()):
        pytest.skip("needs MNIST: set OODBENCH_TEST_DATA to a folder that has MNIST/raw")
    monkeypatch.setenv("OODBENCH_DATA", root)
    return Path(root)


@dataclass(frozen=True)
class SmallMnist:
    """Seventy digits of noise in MNIST's format, with the hashes that go with them."""

    root: Path
    contents: dict[str, bytes]
    images: np.ndarray
    labels: np.ndarray

    def write(self, name: str, data: bytes | None = None, packed: bool = False) -> Path:
        path = self.root / "MNIST" / "raw" / f"{name}{'.gz' if packed else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.contents[name] if data is None else data
        path.write_bytes(gzip.compress(data) if packed else data)
        return path


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallMnist:
    """Not on disk yet, but named as the machine's data folder."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (70, 28, 28), dtype=np.uint8)
    labels = np.arange(70, dtype=np.uint8) % 10
    contents, start = {}, 0
    for part, n in COUNTS.items():
        rows = slice(start, start + n)
        sizes = n.to_bytes(4, "big")
        pixels = (28).to_bytes(4, "big") * 2 + images[rows].tobytes()
        contents[f"{part}-images-idx3-ubyte"] = b"\0\0\x08\x03" + sizes + pixels
        contents[f"{part}-labels-idx1-ubyte"] = b"\0\0\x08\x01" + sizes + labels[rows].tobytes()
        start += n
    for name, data in contents.items():
        monkeypatch.setitem(mnist_files.FILES, name, mnist_files.md5(data))
    root = tmp_path / "data"
    monkeypatch.setenv("OODBENCH_DATA", str(root))
    return SmallMnist(root, contents, images, labels.astype(np.int64))
