"""Files are fetched whole and verified, or the way to do without is told."""

import gzip
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from domainbed_adapters import fetching, mnist_files
from domainbed_adapters.fetching import fetch_mnist
from oodbench.cli import main
from oodbench.data import source_named
from oodbench.errors import RequestError, UnknownNameError

NAMES = tuple(mnist_files.FILES)
NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


class Handler(SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(Path(self.path).name)
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def mirror(small_mnist, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """URL and folder of a server with the small MNIST's files."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, data in small_mnist.contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
    Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_what_is_missing_or_wrong_is_fetched_and_what_is_right_is_kept(small_mnist, mirror) -> None:
    kept = small_mnist.write(NAMES[0], packed=True)
    small_mnist.write(NAMES[1], b"half a fi")
    time = kept.stat().st_mtime_ns
    lines: list[str] = []
    fetch_mnist(small_mnist.root, lines.append, [NOWHERE, mirror[0]])
    assert Handler.asked == [f"{name}.gz" for name in NAMES[1:]]
    assert kept.stat().st_mtime_ns == time
    assert (mnist_files.read(small_mnist.root).images == small_mnist.images).all()
    files = {path.name for path in (small_mnist.root / "MNIST/raw").iterdir()}
    assert files == {f"{NAMES[0]}.gz", *NAMES[1:]}  # nothing temporary is left
    assert "right" in lines[0]
    assert all("verified" in line for line in lines[1:])
    fetch_mnist(small_mnist.root, lines.append, [NOWHERE])  # nothing is asked for again


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b"another file"), "content with md5"),
        (gzip.compress(b"x" * 1000)[:-9], "ends too early"),
        (b"<html>", "incorrect header"),
        (None, "File not found"),
    ],
    ids=["other", "cut", "page", "missing"],
)
def test_a_wrong_download_is_told_and_leaves_what_was_there(
    small_mnist, mirror, content: bytes | None, told: str
) -> None:
    url, folder = mirror
    old = small_mnist.write(NAMES[0], b"old")
    wrong = folder / f"{NAMES[0]}.gz"
    wrong.write_bytes(content) if content is not None else wrong.unlink()
    with pytest.raises(RequestError, match=told):
        fetch_mnist(small_mnist.root, print, [url])
    assert [path.name for path in old.parent.iterdir()] == [NAMES[0]]
    assert old.read_bytes() == b"old"


def test_without_a_network_the_files_and_their_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as error:
        fetch_mnist(tmp_path, print, [NOWHERE])
    told = str(error.value)
    assert f"{NOWHERE}/{NAMES[0]}.gz" in told
    assert str(tmp_path / "MNIST" / "raw") in told
    assert all(name in told for name in NAMES)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(small_mnist, mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RequestError, match="Cannot write to"):
        fetch_mnist(tmp_path / "file", print, [mirror[0]])


def test_the_mirrors_are_asked_in_private() -> None:
    assert all(mirror.startswith("https://") for mirror in fetching.MIRRORS)


@pytest.mark.parametrize("name", ["MNIST", "ColoredMNIST", "RotatedMNIST"])
def test_the_commands(small_mnist, mirror, monkeypatch, capsys, name: str) -> None:
    monkeypatch.setattr(fetching, "MIRRORS", (mirror[0],))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["oodbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    code, told = run("datasets", "ColoredMNIST", "--check")
    assert (code, "oodbench fetch MNIST --root" in told) == (2, True)
    code, told = run("fetch", name, "--root", str(small_mnist.root))
    assert code == 0
    assert all(file in told for file in NAMES)
    assert f"OODBENCH_DATA={small_mnist.root}" in told
    code, told = run("datasets", "--check")
    assert code == 0
    assert told.count("complete and right") == 2
    assert told.count("needs no files") == 2
    assert "PACS: its files are not on this machine" in told


def test_names_that_cannot_be_fetched() -> None:
    with pytest.raises(RequestError, match="ColoredDigits needs no files"):
        source_named("ColoredDigits")
    with pytest.raises(UnknownNameError, match="Did you mean 'MNIST'"):
        source_named("MNITS")
