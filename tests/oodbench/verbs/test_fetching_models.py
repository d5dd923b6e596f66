"""Fetching weights: from a hub of our own on this machine, verified, found by training."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

pytest.importorskip("huggingface_hub", reason="needs pip install 'oodbench[timm]'")
from encoder_helpers import write_encoder

from oodbench.data.encoders import Encoder
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.models.pretrained import Weights
from oodbench.verbs.fetch import fetch_model

COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """What the hub says of files: large ones have their sha256, small ones git's hash."""

    root: Path
    url: str
    damaged = ""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        file = self.root / repository / rest.partition("/")[2]
        if not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            return
        content = file.read_bytes()
        large = file.suffix in (".safetensors", ".bin")
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        etag = hashlib.sha256(content).hexdigest() if large else git
        if file.name == self.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[type[Hub]]:
    class Ours(Hub):
        root = tmp_path / "hub"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ours)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Ours.url = f"http://127.0.0.1:{server.server_port}"
    yield Ours
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs oodbench fetch model in a process that knows our hub as the hub."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("OODBENCH_WEIGHTS", raising=False)
    ours = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "oodbench", "fetch", "model"]

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *map(str, arguments)],
            env=os.environ | ours | {"HF_ENDPOINT": hub.url},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("rooted", [False, True])
def test_weights_of_timm_are_fetched_verified_and_found(
    fetch, hub, tmp_path: Path, monkeypatch, rooted: bool
) -> None:
    pytest.importorskip("timm")
    import timm
    from safetensors.torch import save_file

    file = hub.root / "timm/test_vit.r160_in1k/model.safetensors"
    file.parent.mkdir(parents=True)
    save_file(timm.create_model("test_vit").state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    spec = MODELS.get("timm.test_vit")
    if rooted:
        monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "mine"))
    with pytest.raises(RequestError, match="oodbench fetch model"):
        spec.pretrained(spec.defaults)
    done = fetch("timm.test_vit", *(["--root", tmp_path / "mine"] if rooted else []))
    assert done.returncode == 0, done.stderr
    assert f"sha256 {digest}" in done.stdout
    assert "model.safetensors: " in done.stdout
    assert spec.pretrained(spec.defaults) == digest
    assert (tmp_path / "mine").is_dir() == rooted


def test_damaged_weights_are_refused_and_removed(fetch, hub, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    file = hub.root / "timm/test_vit.r160_in1k/model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    hub.damaged = file.name
    done = fetch("timm.test_vit")
    assert done.returncode == 2
    assert "came damaged: its hash is not" in done.stderr
    assert not list((tmp_path / "hf").rglob("model.safetensors"))


def test_a_text_encoder_is_fetched_by_its_name_on_the_hub(fetch, hub, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    write_encoder(hub.root / "somebody" / "tiny")
    done = fetch("somebody/tiny")
    assert done.returncode == 0, done.stderr
    digest = Encoder("somebody/tiny").sha256
    assert f"sha256 {digest}" in done.stdout
    assert Encoder("tiny").find() == Encoder("somebody/tiny").find()
    theirs = (hub.root / "somebody/tiny/model.safetensors").read_bytes()
    assert digest == hashlib.sha256(theirs).hexdigest()
    assert Encoder("tiny").tokens(["the notes"], 8).shape == (1, 8)


def test_what_the_hub_does_not_have_is_told(fetch, hub) -> None:
    hub.root.mkdir()
    done = fetch("nobody/nothing")
    assert done.returncode == 2
    assert "nobody/nothing on the hub has no config.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [("resnet81", "resnet18"), ("resnet50.ram_in1k", "timm.resnet50.ram_in1k")],
)
def test_a_name_that_may_have_been_a_models_says_so(fetch, hub, name: str, meant: str) -> None:
    pytest.importorskip("timm")
    hub.root.mkdir()
    done = fetch(name)
    assert done.returncode == 2
    assert f"did you mean {meant}" in done.stderr


def test_without_a_network_the_errors_say_where_to_put_the_file(fetch, hub, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    hub.url = "http://127.0.0.1:9"  # nobody listens there
    done = fetch("timm.test_vit")
    assert done.returncode == 2
    assert "copy the file to DIR/timm/test_vit.r160_in1k/model.safetensors" in done.stderr
    assert "Traceback" not in done.stderr
    weights = Weights("net", "net-01234567.pth", f"{hub.url}/net-01234567.pth")
    with pytest.raises(RequestError, match=r"copy the file to DIR/net-01234567\.pth and name DIR"):
        weights.fetch(tmp_path, print)


def test_a_file_of_torchvision_is_fetched_by_its_address(hub, tmp_path: Path) -> None:
    hub.root.mkdir()
    torch.save({"w": torch.arange(3)}, tmp_path / "raw")
    digest = hashlib.sha256((tmp_path / "raw").read_bytes()).hexdigest()
    name = f"net-{digest[:8]}.pth"
    (hub.root / "x").mkdir()
    (tmp_path / "raw").rename(hub.root / "x" / name)
    lines: list[str] = []
    weights = Weights("net", name, f"{hub.url}/x/resolve/main/{name}")
    assert weights.fetch(tmp_path / "here", lines.append) == digest
    assert lines[0].endswith("verified")
    other = Weights("net", "net-01234567.pth", weights.url)
    with pytest.raises(RequestError, match=r"Cannot fetch http.*hash"):
        other.fetch(tmp_path / "there", lines.append)
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mlp", "begins with random ones"),
        ("text_encoder", "fetch model distilbert-base-uncased"),
        ("timm.resnet5", "Did you mean resnet50"),
        ("timm.botnet50ts_256", "begins with random ones"),
    ],
)
def test_models_without_weights_are_refused(name: str, told: str) -> None:
    if name.startswith("timm."):
        pytest.importorskip("timm")
    with pytest.raises(RequestError, match=told):
        fetch_model(name)


def test_training_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by asking for a model's weights nor by making it."""
    import socket

    pytest.importorskip("timm")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("OODBENCH_WEIGHTS", raising=False)
    for name in ("timm.test_resnet", "resnet18"):
        spec = MODELS.get(name)
        with pytest.raises(RequestError, match="oodbench fetch model"):
            spec.pretrained(spec.defaults)
        with pytest.raises(RequestError, match="oodbench fetch model"):
            spec.build((3, 32, 32), 2, **spec.defaults)
