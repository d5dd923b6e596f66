"""The cache: built once, shared, whole or not there, never believed blindly."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from oodbench.data.cache import cache_folder, cached, filled, without_writing
from oodbench.errors import RequestError

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
    def fill(array: np.ndarray) -> None:
        array[:5] = ARRAY[:5]
        array[5:] = ARRAY[5:]

    def fail(array: np.ndarray) -> None:
        array[:5] = ARRAY[:5]
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        filled("squares", 1, ARRAY.shape, "uint8", fail)
    assert list(folder.glob("*.npy")) == list(folder.glob("*.tmp")) == []
    np.testing.assert_array_equal(filled("squares", 1, ARRAY.shape, "uint8", fill), ARRAY)
    found = filled("squares", 1, ARRAY.shape, "uint8", fail)  # it is there
    np.testing.assert_array_equal(found, ARRAY)
    assert not found.flags.writeable
    (path,) = folder.glob("*.npy")
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(filled("squares", 1, ARRAY.shape, "uint8", fill), ARRAY)


def test_what_does_not_fit_on_the_disk_is_refused_before_it_starts(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"big-\w+ needs 931\.3 GiB .* OODBENCH_CACHE"):
        filled("big", 1, (1000, 10**9), "uint8", lambda array: pytest.fail("it started"))


def test_a_large_array_needs_a_cache_that_can_be_written(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    with pytest.raises(RequestError, match=r"cannot be written to the cache .* OODBENCH_CACHE"):
        filled("small", 1, (1,), "uint8", lambda array: None)


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
        big = filled("big", [1], (2, 3), "u1", lambda array: pytest.fail("it was filled"))
    assert (big.shape, big.dtype, big.any()) == ((2, 3), np.uint8, False)
    assert not folder.exists()
    assert list(cached("x", [1], lambda: np.arange(3))) == [0, 1, 2]
    with without_writing():  # what is there is read
        assert list(cached("x", [1], lambda: np.zeros(3))) == [0, 1, 2]
