"""Images kept as the bytes of their files: the same pixels, the same runs, less disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_helpers import write_tree

from oodbench.data import DATASETS
from oodbench.data.cache import entries
from oodbench.errors import RequestError
from oodbench.sweep.plan import plan
from oodbench.training import train
from oodbench.workers.trial_data import _tensors, tensors_for

CPU = torch.device("cpu")

SWEEP = {
    "name": "mine",
    "datasets": [
        {
            "name": "ImageFolders",
            "folder": "mine",
            "size": 8,
            "test_environments": [0],
            "corrupt": "skip",
        }
    ],
    "algorithms": ["erm"],
    "optimizers": ["adam"],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 3, "batch": {"per_environment": 4}},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small one of images; files of several sizes, one black, one broken."""
    from PIL import Image

    root = write_tree(tmp_path / "data" / "mine", ("day", "night", "rain"), ("cat", "dog"))
    Image.new("RGB", (9, 9)).save(root / "day" / "dog" / "pic_003.png")
    (root / "night" / "cat" / "pic_000.png").write_bytes(b"")  # the first of its environment
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    return root


def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, corrupt: str = "skip"):
    monkeypatch.setenv("OODBENCH_IMAGES", way)
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / f"cache-{way}"))
    options = {"folder": "mine", "size": 8, "corrupt": corrupt}
    return DATASETS.get("ImageFolders").load(options, 0)


def test_they_are_the_decoded_images(root: Path, monkeypatch, tmp_path: Path) -> None:
    decoded, encoded = (load(monkeypatch, tmp_path, way) for way in ("decoded", "encoded"))
    assert encoded.fingerprint == decoded.fingerprint
    for mine, theirs in zip(encoded.environments, decoded.environments, strict=True):
        for part, split in mine.splits.items():
            other = theirs.splits[part].inputs
            assert split.inputs.shape == other.shape
            assert split.inputs.dtype == other.dtype
            assert np.array_equal(np.asarray(split.inputs), np.asarray(other))
            some = np.array([[2, 0], [1, 2]])
            assert np.array_equal(split.inputs[some], other[some])
            assert np.array_equal(split.inputs[1], other[1])
    files = sum(file.stat().st_size for file in root.rglob("*.png"))
    assert files <= max(entry.size for entry in entries()) <= files + 128  # .npy's header


def test_runs_do_not_depend_on_it(root: Path, monkeypatch, tmp_path: Path) -> None:
    found = []
    for way in ("decoded", "encoded"):
        load(monkeypatch, tmp_path, way)
        _tensors.cache_clear()  # as a new worker
        trials = plan(SWEEP).studies[0].trials
        data = tensors_for(trials[0], CPU)
        found.append([record.measurements for record in train(trials, data, CPU)])
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_a_broken_image_is_found_before_anything_is_kept(root, monkeypatch, tmp_path) -> None:
    with pytest.raises(RequestError, match=r"1 of 60 files .*night/cat/pic_000.png"):
        load(monkeypatch, tmp_path, "encoded", corrupt="fail")
    assert entries() == []


def test_another_way_is_refused(root: Path, monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="OODBENCH_IMAGES must be decoded or encoded, not 'no'"):
        load(monkeypatch, tmp_path, "no")
