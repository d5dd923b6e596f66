"""What measuring a shift reads: a bounded share of each environment, and no other example."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import oodbench
from analysis.shift.classes import shift_class
from analysis.shift.measure import measure_shift
from oodbench.data import DATASETS, Dataset, Environment, Published, Rows, Split
from oodbench.data.columns import Columns
from oodbench.data.on_demand import on_demand
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features
from oodbench.probes.samples import sample_of, shared
from oodbench.probes.sides import drawn


@dataclass
class Watched:
    """(n, 3) numbers, the first of which is their row; it notes what is read, and how much."""

    n: int
    read: set[int] = field(default_factory=set)
    largest: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, which: Any) -> Any:
        rows = np.arange(self.n)[which]
        self.read.update(rows.tolist())
        self.largest = max(self.largest, len(rows))
        return np.stack([rows, rows, rows], axis=1).astype(np.float32)


def watched(sizes: dict[str, dict[str, int]]) -> tuple[Dataset, Watched]:
    """Environments with splits of these sizes; the label is the environment."""
    store, start, environments = Watched(sum(sum(s.values()) for s in sizes.values())), 0, []
    for label, (name, parts) in enumerate(sizes.items()):
        splits = {}
        for part, n in parts.items():
            rows = np.arange(start, start + n)
            splits[part] = Split(Rows(store, rows), np.full(n, label))
            start += n
        environments.append(Environment(name, splits))
    return Dataset("Watched", tuple(environments), len(sizes)), store


def test_what_is_shared_is_the_largest_equal_part() -> None:
    """Of 12 for parts of 2, 6 and 10: 2 + 5 + 5."""
    assert shared([10, 2, 6], 12) == 5
    assert shared([10, 2, 6], 18) == 10
    assert shared([10, 2, 6], 13) == 5  # 2 + 5 + 5, and one is left
    assert shared([10, 2, 6], 14) == 6


def test_no_more_is_read_than_asked_for_and_in_pieces() -> None:
    data, store = watched({"a": {"train": 5000, "val": 20}, "b": {"train": 900, "val": 300}})
    sample = sample_of(data, 600)
    assert [(len(e.fit), e.fit.of) for e in sample.environments] == [(600, 5000), (600, 900)]
    assert [(len(e.unseen), e.unseen.of) for e in sample.environments] == [(20, 20), (300, 300)]
    assert len(store.read) == 600 + 20 + 600 + 300
    assert store.largest <= 256
    for i, one in enumerate(sample.environments):
        assert set(one.fit.labels) == set(one.unseen.labels) == {i}
        rows = one.fit.inputs[:, 0]
        assert len(np.unique(rows)) == 600
        splits = data.environments[i].splits
        assert set(rows) <= set(splits["train"].inputs.rows)
        assert set(one.unseen.inputs[:, 0]) == set(splits["val"].inputs.rows)


def test_the_memory_bounds_what_is_read() -> None:
    data, store = watched({"a": {"train": 5000, "val": 1000}, "b": {"train": 5000, "val": 10}})
    sample = sample_of(data, 10**6, memory=12 * 3010)
    assert sample.most == 1000
    assert len(store.read) == 3 * 1000 + 10


def test_each_environment_keeps_its_share_of_a_side() -> None:
    """Of 9,000 and 1,000 examples, of which 500 each were read: nine in ten are of the first."""
    sizes = {"a": {"train": 50, "val": 9000}, "b": {"train": 50, "val": 1000}}
    data, _ = watched({**sizes, "q": {"train": 50, "val": 500}})
    (_, _, test) = data.environments
    test.splits["train"].labels[:] = 0  # a class that both sides have
    sample, rng = sample_of(data, 500), np.random.default_rng(0)
    _, (p, q) = drawn(sample, (2,), 500, rng, torch.device("cpu"))
    assert len(p.labels) == len(q.labels) == 500
    share = float((p.labels == 0).float().mean())
    assert share == pytest.approx(0.9, abs=4 * (0.9 * 0.1 / 500) ** 0.5)


def gaussians(n: int, offset: float, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return Split((rng.normal(size=(n, 6)) + labels[:, None] + offset).astype(np.float32), labels)


def published(moved: float, role: str = "ood_test", with_id: bool = True) -> Dataset:
    """Training examples of two environments, and published splits as WILDS has them."""
    environments = tuple(Environment(f"e{i}", {"train": gaussians(300, 0, i)}) for i in range(2))
    splits = [Published("test", role, gaussians(800, moved, 5))]
    splits += [Published("id_test", "id_test", gaussians(400, 0, 6))] if with_id else []
    return Dataset("Toy", environments, 2, published=tuple(splits))


@pytest.mark.parametrize("with_id", [True, False])
@pytest.mark.parametrize(("moved", "expected"), [(0.0, "none"), (6.0, "diversity")])
def test_published_splits_are_measured(moved: float, expected: str, with_id: bool) -> None:
    sample = sample_of(published(moved, with_id=with_id), 1000)
    assert [sample.environments[i].name for i in sample.apart] == ["test"]
    (apart,) = (sample.environments[i] for i in sample.apart)
    assert len(apart.fit) == len(apart.unseen) == 400
    both = np.concatenate([apart.fit.inputs, apart.unseen.inputs])
    assert len(np.unique(both, axis=0)) == 800
    f = environment_features(sample, sample.apart, options={"width": 16, "depth": 1})
    assert shift_class([measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, points=1000)]) == expected


def test_the_shares_of_groups_are_no_shift_that_is_measured() -> None:
    with pytest.raises(RequestError, match="none of its published splits is out of distribution"):
        sample_of(published(0.0, role="id_val"), 100)


def test_columns_are_standardised_by_what_is_trained_on() -> None:
    rng = np.random.default_rng(0)

    def split(offset: float) -> Split:
        return Split(rng.normal(offset, 50, (400, 1)), rng.integers(0, 2, 400))

    environments = [Environment(str(i), {"train": split(i), "val": split(i)}) for i in range(2)]
    environments.append(Environment("target", {"test": split(1e6)}, apart="ood_test"))
    columns = Columns(("x",), (0,), (False,))
    sample = sample_of(Dataset("Numbers", tuple(environments), 2, columns=columns), 1000)
    fitted = np.concatenate([one.fit.inputs for one in sample.environments[:2]])
    assert fitted.mean() == pytest.approx(0, abs=1e-5)
    assert fitted.std() == pytest.approx(1, abs=1e-5)
    assert sample.environments[2].fit.inputs.mean() > 1000


@pytest.mark.slow
def test_inputs_that_are_too_large_for_the_learning_rate_are_measured_all_the_same() -> None:
    """Of 800 inputs around 100, which train at a smaller one; those of any two have no shift."""
    rng = np.random.default_rng(0)

    def split(moved: float) -> Split:
        labels = rng.integers(0, 2, 400)
        return Split((rng.normal(100 + moved, 1, (400, 800))).astype(np.float32), labels)

    def measured(moved: float) -> float:
        both = [
            Environment(f"{e}", {"train": split(e * moved), "val": split(e * moved)})
            for e in range(2)
        ]
        f = environment_features(sample_of(Dataset("Far", tuple(both), 2), 1000), (1,))
        found = measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, points=1000).plus
        return found.diversity

    assert measured(0.0) < 0.05
    assert measured(20.0) > 0.8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two environments of dark and of bright photographs, in two classes of 40."""
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for e, shade in (("dark", 20), ("bright", 200)):
        for c in ("cat", "dog"):
            (tmp_path / "mine" / e / c).mkdir(parents=True)
            for i in range(40):
                pixels = rng.integers(shade, shade + 30, (90, 120, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "mine" / e / c / f"{i}.jpg")
    return tmp_path


def test_images_are_read_from_their_files_and_not_kept(folder: Path) -> None:
    table = oodbench.shift("ImageFolders", [1], trials=1, options={"folder": "mine"})
    assert table["shift"].tolist() == ["diversity"] * 2
    assert not list((folder / "cache").glob("*"))


def test_a_broken_image_is_named_or_left_out_and_others_are_not_read(folder: Path) -> None:
    (folder / "mine/dark/cat/3.jpg").write_bytes(b"no image")
    options = {"folder": "mine", "size": 8}
    with on_demand():
        sound = DATASETS.get("ImageFolders").load(options, 0)
        skipping = DATASETS.get("ImageFolders").load({**options, "corrupt": "skip"}, 0)
    with pytest.raises(RequestError, match=r"1 of \d+ files cannot be read.*dark/cat/3\.jpg"):
        sample_of(sound, 100)
    bright, dark = sample_of(skipping, 100).environments  # in order of name
    assert len(dark.fit) + len(dark.unseen) == 79
    assert len(bright.fit) + len(bright.unseen) == 80
    for one, shade in ((dark, 20), (bright, 200)):
        for part in (one.fit, one.unseen):
            assert (part.inputs >= shade - 10).all()
            assert (part.inputs <= shade + 40).all()
    assert sound.environments[0].splits["train"].inputs[:2].shape == (2, 3, 8, 8)  # are sound
