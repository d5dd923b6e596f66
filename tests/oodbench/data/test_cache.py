"""The cache: built once, shared, whole or not there, never believed blindly."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oodbench.data import cache
from oodbench.data.cache import cache_folder, cached, entries, filled, without_writing
from oodbench.data.pieces import Pieces
from oodbench.data.stopping import stoppable
from oodbench.errors import RequestError, StopTrainingError
from oodbench.records import hash_of

ARRAY = np.arange(1000, dtype=np.uint8).reshape(10, 100)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return ARRAY


def test_it_is_built_once_for_each_key_and_mapped() -> None:
    build = Builder()
    for _ in range(2):
        for key in ({"angle": 1}, {"angle": 2}):
            found = cached("squares", key, build)
            np.testing.assert_array_equal(found, ARRAY)
            assert isinstance(found, np.memmap)
            assert not found.flags.writeable
    assert build.calls == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "pickle"])
def test_a_damaged_file_is_noticed_and_made_anew(folder: Path, damage: str) -> None:
    build = Builder()
    cached("squares", 1, build)
    (path,) = folder.glob("*.npy")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if damage == "pickle":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    else:
        path.write_bytes({"flip": data, "cut": data[:-100], "empty": b""}[damage])
    for _ in range(2):
        np.testing.assert_array_equal(cached("squares", 1, build), ARRAY)
    assert build.calls == 2
    assert len(list(folder.glob("*.npy"))) == 1


def test_where_it_cannot_be_written_it_is_built_each_time(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    build = Builder()
    for calls in (1, 2):
        with pytest.warns(RuntimeWarning, match="OODBENCH_CACHE"):
            np.testing.assert_array_equal(cached("squares", 1, build), ARRAY)
        assert build.calls == calls


def test_a_large_array_is_written_piece_by_piece_whole_or_not_at_all(folder: Path) -> None:
    def fill(array: np.ndarray, pieces: Pieces) -> None:
        array[:5] = ARRAY[:5]
        array[5:] = ARRAY[5:]

    def fail(array: np.ndarray, pieces: Pieces) -> None:
        array[:5] = ARRAY[:5]
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        filled("squares", 1, ARRAY.shape, "uint8", fail)
    assert [path.suffix for path in folder.iterdir()] == [".lock"], "no row was marked as done"
    np.testing.assert_array_equal(filled("squares", 1, ARRAY.shape, "uint8", fill), ARRAY)
    found = filled("squares", 1, ARRAY.shape, "uint8", fail)  # it is there
    np.testing.assert_array_equal(found, ARRAY)
    assert not found.flags.writeable
    (path,) = folder.glob("*.npy")
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(filled("squares", 1, ARRAY.shape, "uint8", fill), ARRAY)


def counting(rows: list[int], stop_at: int = 99) -> Callable[[np.ndarray, Pieces], None]:
    """Fills row by row, and notes which; asked to stop once ``stop_at`` rows were computed."""

    def fill(array: np.ndarray, pieces: Pieces) -> None:
        for row in pieces.left(range(10)):
            rows.append(row)
            array[row] = ARRAY[row]
            with stoppable(lambda: len(rows) == stop_at):
                pieces.mark([row])

    return fill


def test_what_is_half_computed_is_kept_and_gone_on_with(folder: Path) -> None:
    first: list[int] = []
    second: list[int] = []
    with pytest.raises(StopTrainingError):
        filled("squares", 1, ARRAY.shape, "uint8", counting(first, stop_at=4))
    assert list(folder.glob("*.npy")) == [], "it is not whole"
    (half,) = entries()
    assert (half.name.startswith("squares-"), half.whole) == (True, False)
    found = filled("squares", 1, ARRAY.shape, "uint8", counting(second))
    np.testing.assert_array_equal(found, ARRAY)
    assert (first, second) == ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9])
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".npy"]


def test_what_is_half_computed_can_be_dropped_but_not_while_it_is_written(folder: Path) -> None:
    def looking(array: np.ndarray, pieces: Pieces) -> None:
        assert entries() == [], "it is being written"
        counting([], stop_at=4)(array, pieces)

    with pytest.raises(StopTrainingError):
        filled("squares", 1, ARRAY.shape, "uint8", looking)
    (half,) = entries()
    half.drop()
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert entries() == []


@pytest.mark.parametrize("harm", ["cut", "gone", "other"])
def test_a_part_that_is_damaged_is_made_anew(folder: Path, harm: str) -> None:
    with pytest.raises(StopTrainingError):
        filled("squares", 1, ARRAY.shape, "uint8", counting([], stop_at=4))
    (part,), (note,) = folder.glob("*.part"), folder.glob("*.done")
    if harm == "cut":
        part.write_bytes(part.read_bytes()[:200])
    elif harm == "gone":
        part.unlink()
    else:
        note.write_bytes(b"\x01" * 3)
    rows: list[int] = []
    np.testing.assert_array_equal(filled("squares", 1, ARRAY.shape, "uint8", counting(rows)), ARRAY)
    assert rows == [*range(10)]


def test_who_waits_for_another_process_can_be_stopped(folder: Path) -> None:
    held, asked = cache._alone(folder, f"ones-{hash_of(1)}"), stoppable(lambda: True)
    with held, asked, pytest.raises(StopTrainingError):
        cached("ones", 1, lambda: pytest.fail("another process builds it"))


def test_what_does_not_fit_on_the_disk_is_refused_before_it_starts(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"big-\w+ needs 931\.3 GiB .* OODBENCH_CACHE"):
        filled("big", 1, (1000, 10**9), "uint8", lambda array, pieces: pytest.fail("it started"))


def test_a_large_array_needs_a_cache_that_can_be_written(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    with pytest.raises(RequestError, match=r"cannot be written to the cache .* OODBENCH_CACHE"):
        filled("small", 1, (1,), "uint8", lambda array, pieces: None)


def test_processes_that_start_at_once_build_it_once(folder: Path) -> None:
    folder.mkdir()
    code = f"""
import time, numpy as np
from pathlib import Path
from oodbench.data.cache import cached
def build():
    print("built")
    time.sleep(0.5)
    return np.ones(9)
while not Path({str(folder / "go")!r}).exists():
    time.sleep(0.01)
assert cached("ones", 1, build).sum() == 9
"""
    run = [sys.executable, "-c", code]
    processes = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    time.sleep(0.5)
    (folder / "go").touch()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(outputs).split() == ["built"]


def test_the_folder_is_the_platforms_unless_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("OODBENCH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "oodbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "oodbench"


def test_within_a_dry_run_nothing_is_written(folder: Path) -> None:
    with without_writing():
        assert list(cached("x", [1], lambda: np.arange(3))) == [0, 1, 2]
        big = filled("big", [1], (2, 3), "u1", lambda array, pieces: pytest.fail("it was filled"))
    assert (big.shape, big.dtype, big.any()) == ((2, 3), np.uint8, False)
    assert not folder.exists()
    assert list(cached("x", [1], lambda: np.arange(3))) == [0, 1, 2]
    with without_writing():  # what is there is read
        assert list(cached("x", [1], lambda: np.zeros(3))) == [0, 1, 2]
