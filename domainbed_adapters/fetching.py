"""MNIST's four files, fetched from a mirror and verified."""

import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from domainbed_adapters.mnist_files import FILES, FOLDER, md5, read_file
from oodbench.errors import RequestError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
"""Folders with the four files as .gz, tried in turn."""
TIMEOUT = 30.0
"""Seconds without an answer or a byte after which the next mirror is tried."""
LARGEST = 64 * 2**20
"""Bytes of content after which a file can be none of these."""


def fetch_mnist(
    root: Path, tell: Callable[[str], None], mirrors: Sequence[str] | None = None
) -> None:
    """Put the four files under ``root``, uncompressed, so that torchvision finds them too.

    Files that are there and right are kept, plain or .gz; each other one is replaced whole, or not
    at all.

    Args:
        root: The data folder; created if missing.
        tell: Called with a line for each file.
        mirrors: Mirrors in place of ``MIRRORS``.

    Raises:
        RequestError: If the folder cannot be written, or no mirror has a file.
    """
    folder = root / FOLDER
    for name in FILES:
        try:
            read_file(folder, name)
            tell(f"{name}: here, and right")
            continue
        except ValueError:
            pass
        data = download(name, MIRRORS if mirrors is None else mirrors, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, data)
        except OSError as error:
            raise RequestError(f"Cannot write to {folder}: {error.strerror or error}.") from error
        tell(f"{name}: fetched, {len(data) / 1e6:.1f} MB, verified")


def download(name: str, mirrors: Sequence[str], folder: Path) -> bytes:
    """The verified, uncompressed content of one of ``FILES``, from the first mirror that has it.

    Args:
        name: Name of the file, without .gz.
        mirrors: See ``MIRRORS``.
        folder: Where it belongs, for the message.

    Raises:
        RequestError: If none has it; the message says why of each, and how to do without.
    """
    reasons = []
    for mirror in mirrors:
        url = f"{mirror}/{name}.gz"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                data = unpack(answer.read(LARGEST))
            if md5(data) == FILES[name]:
                return data
            reasons.append(f"{url}: content with md5 {md5(data)}, not {FILES[name]}")
        except urllib.error.URLError as error:
            reasons.append(f"{url}: {error.reason}")
        except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
            reasons.append(f"{url}: {type(error).__name__}: {error}")
    raise RequestError(
        f"Cannot fetch {name}:\n  " + "\n  ".join(reasons) + "\n"
        "Without a network, copy the four files from elsewhere (torchvision's MNIST has them), "
        f"plain or .gz, to {folder}: {', '.join(FILES)}"
    )


def unpack(data: bytes) -> bytes:
    """The content of a gzip file, of no more than ``LARGEST`` bytes.

    Raises:
        ValueError: If the file ends too early or is too large.
        zlib.error: If it is none.
    """
    unpacker = zlib.decompressobj(wbits=31)
    content = unpacker.decompress(data, LARGEST)
    if not unpacker.eof:
        raise ValueError("the file ends too early or is too large")
    return content


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole, or leave what was there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
