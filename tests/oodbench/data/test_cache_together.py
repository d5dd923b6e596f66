"""Several processes that fill one array at once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oodbench.data.cache import CACHE_VARIABLE, entries, filled
from oodbench.data.pieces import Pieces

fcntl = pytest.importorskip("fcntl", reason="without locks processes do not share an array")

ROWS, SHARE = 240, 8
CODE = f"""
import sys, time
import numpy as np
from oodbench.data import pieces
from oodbench.data.cache import filled

pieces.SAVED = 0.05
print("ready", flush=True)
sys.stdin.readline()

def fill(array, pieces):
    for share in pieces.shares(range({ROWS}), {SHARE}):
        for row in share:
            time.sleep(0.004)
            array[row] = row**2
            print(row, flush=True)
            pieces.mark([row])

found = filled("squares", 1, ({ROWS},), "i8", fill, together=True)
assert (found == np.arange({ROWS}) ** 2).all()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def started(number: int) -> list["subprocess.Popen[str]"]:
    """Processes that begin at the same moment."""
    pipe, run = subprocess.PIPE, [sys.executable, "-c", CODE]
    processes = [subprocess.Popen(run, stdin=pipe, stdout=pipe, text=True) for _ in range(number)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return processes


def rows_of(process: "subprocess.Popen[str]") -> list[int]:
    """Which rows it has computed, once it has ended."""
    return [int(row) for row in process.communicate(timeout=60)[0].split()]


def test_each_row_is_computed_once_by_one_of_them(folder: Path) -> None:
    processes = started(3)
    found = [rows_of(process) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(row for rows in found for row in rows) == [*range(ROWS)]
    assert all(found), "each took a part"
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".npy"]


def test_who_comes_after_a_kill_computes_only_what_was_not_kept(folder: Path) -> None:
    first, second = started(2)
    assert first.stdout is not None
    before = [int(first.stdout.readline()) for _ in range(60)]
    (half,) = folder.glob("*.part")
    assert entries() == [], "it is being written"
    os.kill(first.pid, signal.SIGKILL)
    lost, others = before + rows_of(first), rows_of(second)
    assert second.returncode == 0
    assert set(lost) | set(others) == {*range(ROWS)}
    assert len(others) == len(set(others))
    again = set(lost) & set(others)
    assert len(again) <= 3 * SHARE, "what it computed in 50 ms, and a busy machine stretches that"
    assert again <= set(lost[-3 * SHARE :])
    assert not half.exists()


def test_one_that_failed_leaves_its_rows_to_the_others(folder: Path) -> None:
    def fails(array: NDArray[Any], pieces: Pieces) -> None:
        for share in pieces.shares(range(ROWS), SHARE):
            array[share] = np.array(share) ** 2
            pieces.mark(share[:5])
            if share[0] > 100:
                raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        filled("squares", 1, (ROWS,), "i8", fails, together=True)
    (half,) = entries()
    assert not half.whole
    (other,) = started(1)
    found = Counter(rows_of(other))
    assert other.returncode == 0
    assert found == Counter(row for row in range(ROWS) if row >= 104 + SHARE or row % SHARE >= 5)
