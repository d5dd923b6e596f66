"""Pretrained weights: found, verified, or an error that says how to get them."""

import hashlib
from pathlib import Path

import pytest
import torch

from oodbench.errors import OodbenchError, RequestError
from oodbench.models import MODELS
from oodbench.models.pretrained import Weights


def saved(folder: Path, state: dict) -> Path:
    """A weights file that is named as torchvision names them."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "raw")
    digest = hashlib.sha256((folder / "raw").read_bytes()).hexdigest()
    return (folder / "raw").rename(folder / f"net-{digest[:8]}.pth")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("OODBENCH_WEIGHTS", raising=False)


@pytest.mark.parametrize("place", ["torch", "named"])
def test_a_file_is_found_and_its_sha256_is_that_of_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = {"torch": tmp_path / "torch/hub/checkpoints", "named": tmp_path / "here"}[place]
    path = saved(folder, {"w": torch.arange(3)})
    monkeypatch.setenv("OODBENCH_WEIGHTS", f"{tmp_path / 'other'}:{tmp_path / 'here'}")
    weights = Weights("net", path.name)
    assert weights.find() == path
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.load()["w"].tolist() == [0, 1, 2]


def test_a_missing_file_is_an_error_that_says_where_and_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError) as told:
        MODELS.get("resnet50").pretrained({"pretrained": True, "weights": ""})
    for part in ("resnet50-0676ba61.pth", "torch/hub/checkpoints", "https://", "pretrained: false"):
        assert part in str(told.value)
    assert "into that folder;" in str(told.value)  # there is but one
    assert not (tmp_path / "torch").exists()  # nothing is created, nothing downloaded
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "here"))
    with pytest.raises(RequestError, match=r"here or .*checkpoints\..* into one of them;"):
        MODELS.get("resnet50").pretrained({"pretrained": True, "weights": ""})


def test_another_file_under_that_name_is_refused(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path / "here", {"w": torch.arange(3)})
    other = path.with_name("net-0123abcd.pth")
    path.rename(other)
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(other.parent))
    with pytest.raises(RequestError, match="which its name does not begin"):
        Weights("net", other.name).load()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"train": "heads"}, "head"),
        ({"pretrained": "yes"}, "pretrained needs a value like True"),
        ({"dropout": -0.5}, "dropout must be 0 or above"),
        ({"hiden": 3}, "hidden"),
    ],
)
def test_bad_options_are_refused(options: dict, told: str) -> None:
    with pytest.raises(OodbenchError, match=told):
        MODELS.get("resnet18").check(options)
    MODELS.get("resnet18").check({"train": "head", "dropout": 0.0, "hidden": 0})


def test_features_of_random_weights_are_refused() -> None:
    spec = MODELS.get("resnet18")
    with pytest.raises(RequestError, match="train: head needs pretrained: true"):
        spec.frozen({**spec.defaults, "train": "head", "pretrained": False})
