"""Arrays that take long to compute, kept on disk for every process of this machine.

A cache file is an .npy file, named after what it is, a hash of everything that decides it, and the
checksum of its content. So a file that is damaged or cut short is noticed, and is made anew. It
holds numbers only: nothing in it is ever run.
"""

import math
import os
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data.pieces import WAIT, Pieces
from oodbench.data.stopping import stop_if_asked
from oodbench.errors import RequestError
from oodbench.records import hash_of

PART, DONE = ".part", ".done"
"""How the names of a file that is not whole yet end, and of the note of its rows that are done."""
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


_writing = ContextVar("writing", default=True)


@contextmanager
def without_writing() -> Iterator[None]:
    """Within, nothing is put into the cache, and what is not there is not kept.

    ``cached`` computes it each time; ``filled`` gives zeros, for whoever needs the shape alone.
    """
    token = _writing.set(False)
    try:
        yield
    finally:
        _writing.reset(token)


@dataclass(frozen=True)
class Entry:
    """A file of the cache.

    Attributes:
        name: What it is.
        path: Where.
        size: Size in bytes.
        read: When it was last read, as far as the file system keeps that.
        whole: False: it is half computed; whoever needs it next goes on with it.
    """

    name: str
    path: Path
    size: int
    read: datetime
    whole: bool = True

    def drop(self) -> None:
        """Remove it; who reads it keeps what there is."""
        self.path.unlink(missing_ok=True)
        if not self.whole:
            self.path.with_name(f"{self.name}{DONE}").unlink(missing_ok=True)


def entries() -> list[Entry]:
    """The arrays in the cache, largest first; what is being written is not among them."""
    found = []
    folder = cache_folder()
    for path in [*folder.glob("*.npy"), *folder.glob(f"*{PART}")]:
        whole = path.suffix != PART
        with suppress(FileNotFoundError):  # dropped meanwhile
            stat = path.stat()
            read = datetime.fromtimestamp(max(stat.st_atime, stat.st_mtime))
            name = path.name.split(".")[0]
            if whole or (_is_free(folder / f"{name}.lock") and _is_free(path)):
                found.append(Entry(name, path, stat.st_size, read, whole))
    return sorted(found, key=lambda entry: (-entry.size, entry.name))


def _is_free(path: Path) -> bool:
    """Whether there is such a file, and no process holds a lock on it or on a part of it."""
    with suppress(ImportError, OSError):
        import fcntl  # not on Windows

        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


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
    if not _writing.get():
        return build()
    with _alone(folder, stem):
        found = _read(folder, stem)  # another process may have built it meanwhile
        if found is not None:
            return found
        array = build()
        try:
            with _new_file(folder, stem) as path:
                with path.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                _publish(path, folder, stem, array)
        except OSError as error:
            warnings.warn(
                f"{name} is computed anew each time: cannot write to the cache {folder}: "
                f"{error.strerror or error}. Name another folder in {CACHE_VARIABLE}.",
                RuntimeWarning,
                stacklevel=2,
            )
    found = _read(folder, stem)
    return array if found is None else found


def filled(
    name: str,
    key: Any,
    shape: tuple[int, ...],
    dtype: str,
    fill: Callable[[NDArray[Any], Pieces], None],
    together: bool = False,
) -> NDArray[Any]:
    """An array too large for memory, from the cache; if it is not there, ``fill`` writes it.

    As ``cached``, but it is written to its file piece by piece, and cannot do without the cache.
    What a process has done that ends before the last piece is kept, and the next one goes on.

    Args:
        name: What it is, as part of a file name.
        key: Everything that decides it, as JSON.
        shape: Shape of the array.
        dtype: Type of the array.
        fill: Gets a writable array, mapped to the file, and which of its rows are left to be
            written; it marks those that it has written. Others are zeros at first.
        together: Whether several processes may fill it at once, because ``fill`` writes the rows of
            ``Pieces.shares`` alone; else others wait for the one that does.

    Raises:
        RequestError: If it does not fit on the disk, or cannot be written.
    """
    folder, stem = cache_folder(), f"{name}-{hash_of(key)}"
    found = _read(folder, stem)
    if found is not None:
        return found
    if not _writing.get():
        return np.broadcast_to(np.zeros((), dtype), shape)
    try:
        with ExitStack() as held:
            alone = held.enter_context(_alone(folder, stem))
            if (found := _read(folder, stem)) is not None:
                return found
            together = together and alone
            path, note = _begun(folder, stem, "" if alone else f"-{os.getpid()}", shape, dtype)
            array = np.lib.format.open_memmap(path, "r+")
            pieces = Pieces(shape[0], array, note)
            if together:
                held.close()  # the others are let in
            try:
                fill(array, pieces)
            except BaseException:
                pieces.save()
                if not (together or pieces.begun):
                    path.unlink()
                    note.unlink()
                raise
            finally:
                pieces.save()
                pieces.close()
            if together:
                held.enter_context(_alone(folder, stem))
            if _read(folder, stem) is None:
                array.flush()
                _publish(path, folder, stem, array)
                note.unlink(missing_ok=True)
    except OSError as error:
        raise RequestError(
            f"{name} cannot be written to the cache {folder}: {error.strerror or error}. "
            f"Name another folder in {CACHE_VARIABLE}."
        ) from error
    found = _read(folder, stem)
    if found is None:
        raise RequestError(f"{name} changed in the cache {folder} right after it was written.")
    return found


def _begun(
    folder: Path, stem: str, own: str, shape: tuple[int, ...], dtype: str
) -> tuple[Path, Path]:
    """The file of a part and the note of its rows; made if they are not there, or damaged.

    Raises:
        RequestError: If it will not fit on the disk.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    folder.mkdir(parents=True, exist_ok=True)
    for damaged in folder.glob(f"{stem}.*.npy"):
        damaged.unlink(missing_ok=True)
    path, note = folder / f"{stem}{own}{PART}", folder / f"{stem}{own}{DONE}"
    if path.is_file() and note.is_file() and path.stat().st_size >= needed:
        return path, note
    note.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RequestError(
            f"{stem} needs {needed / 2**30:,.1f} GiB of disk, but {folder} has "
            f"{free / 2**30:,.1f} free. Make room, or name a folder on another disk in "
            f"{CACHE_VARIABLE}."
        )
    np.lib.format.open_memmap(path, "w+", dtype, shape)
    return path, note


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


@contextmanager
def _new_file(folder: Path, stem: str) -> Iterator[Path]:
    """A file to write the array to, in place of damaged ones; it is gone after an error."""
    folder.mkdir(parents=True, exist_ok=True)
    for damaged in folder.glob(f"{stem}.*.npy"):
        damaged.unlink(missing_ok=True)
    handle, path = tempfile.mkstemp(dir=folder, prefix=stem, suffix=".tmp")
    os.close(handle)
    try:
        yield Path(path)
    except BaseException:
        os.unlink(path)
        raise


def _publish(file: Path, folder: Path, stem: str, array: NDArray[Any]) -> None:
    """Give a whole file the name under which it is found."""
    file.chmod(0o644)
    file.replace(folder / f"{stem}.{_checksum(array)}.npy")


@contextmanager
def _alone(folder: Path, stem: str) -> Iterator[bool]:
    """Hold a lock that ends with the process, if locks work here: whether they do.

    Raises:
        StopTrainingError: If the worker is to stop while it waits for another process.
    """
    with ExitStack() as stack:
        held = False
        with suppress(ImportError, OSError):
            import fcntl  # not on Windows

            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / f"{stem}.lock").open("wb"))
            while not held:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held = True
                except BlockingIOError:
                    stop_if_asked()
                    time.sleep(WAIT)
        yield held
