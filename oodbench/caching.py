"""Arrays that take long to compute, kept on disk for every process of this machine.

A cache file is an .npy file, named after what it is, a hash of everything that decides it, and the
checksum of its content. So a file that is damaged or cut short is noticed, and is made anew. It
holds numbers only: nothing in it is ever run.
"""

import os
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.records import hash_of

CACHE_VARIABLE = "OODBENCH_CACHE"
"""Environment variable with the cache folder, in place of the platform's own."""


def cache_folder() -> Path:
    """Where this machine keeps what can be computed again."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/oodbench"
    usual = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return Path(usual or Path.home() / ".cache") / "oodbench"


def cached(name: str, key: Any, build: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What ``build`` returns, from the cache if it is there; read-only and mapped into memory.

    Processes that ask at once wait for the one that builds it. Where the cache cannot be written,
    the array is built each time, with a warning.

    Args:
        name: What it is, as part of a file name.
        key: Everything that decides it, as JSON.
        build: Computes it.
    """
    folder, stem = cache_folder(), f"{name}-{hash_of(key)}"
    found = _read(folder, stem)
    if found is not None:
        return found
    with _alone(folder, stem):
        found = _read(folder, stem)  # another process may have built it meanwhile
        if found is not None:
            return found
        array = build()
        try:
            _write(folder, stem, array)
        except OSError as error:
            warnings.warn(
                f"{name} is computed anew each time: cannot write to the cache {folder}: "
                f"{error.strerror or error}. Name another folder in {CACHE_VARIABLE}.",
                RuntimeWarning,
                stacklevel=2,
            )
    found = _read(folder, stem)
    return array if found is None else found


def _checksum(array: NDArray[Any]) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array).data):08x}"


def _read(folder: Path, stem: str) -> NDArray[Any] | None:
    """The array, unless there is none whose content has the checksum in its name."""
    for path in folder.glob(f"{stem}.*.npy"):
        with suppress(OSError, ValueError, EOFError):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if path.name == f"{stem}.{_checksum(array)}.npy":
                return array  # type: ignore[no-any-return]
    return None


def _write(folder: Path, stem: str, array: NDArray[Any]) -> None:
    """Write the file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for damaged in folder.glob(f"{stem}.*.npy"):
        damaged.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=stem, suffix=".tmp", delete=False) as file:
        try:
            np.save(file, array, allow_pickle=False)
            file.close()
            os.chmod(file.name, 0o644)
            os.replace(file.name, folder / f"{stem}.{_checksum(array)}.npy")
        except BaseException:
            os.unlink(file.name)
            raise


@contextmanager
def _alone(folder: Path, stem: str) -> Iterator[None]:
    """Hold a lock that ends with the process; where locks do not work, go on without."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl  # not on Windows

            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / f"{stem}.lock").open("wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
