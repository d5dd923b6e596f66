"""Downloading the files that a dataset needs, and the weights that a model begins with."""

from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from oodbench.data import source_named
from oodbench.data.encoders import Encoder
from oodbench.errors import RequestError
from oodbench.models import MODELS


def fetch(name: str, root: str | Path, tell: Callable[[str], None] = print) -> Path:
    """Download what a dataset needs into the data folder ``root``; returns the folder of its files.

    Args:
        name: Name of the dataset, or of its source, such as ``MNIST``.
        root: The data folder; created if missing.
        tell: Called with what is being done.
    """
    source = source_named(name)
    if source.fetch is None:
        raise RequestError(f"{name} cannot be fetched: {source.get}")
    source.fetch(Path(root), tell)
    return Path(root) / source.folder


def fetch_model(
    name: str, root: str | Path | None = None, tell: Callable[[str], None] = print
) -> str:
    """Download and verify published weights; returns the sha256 of the file.

    Nothing else downloads weights: training reads those that are here.

    Args:
        name: A model, such as ``resnet50`` or ``timm.resnet50.ram_in1k``; or of a text encoder
            on Hugging Face's hub, such as ``distilbert-base-uncased``.
        root: The folder for them, which ``OODBENCH_WEIGHTS`` is to name; None: where torch and the
            hub keep what they download, which is looked at as well.
        tell: Called with a line for each file.

    Raises:
        RequestError: If the model begins with random weights, there are none to be had under this
            name, or what came is damaged.
    """
    place = None if root is None else Path(root)
    if name == "text_encoder":
        raise RequestError(
            "Weights are those of one text encoder: name it as the hub does, such as oodbench "
            "fetch model distilbert-base-uncased."
        )
    if not (name.startswith("timm.") or name in MODELS.names()):
        try:
            return Encoder(name).fetch(place, tell)
        except RequestError as error:
            raise RequestError(f"{error}{_meant(name)}") from error
    spec = MODELS.get(name)
    if spec.fetch is None:
        raise RequestError(f"Nobody published weights of {name}: it begins with random ones.")
    return spec.fetch(place, tell)


def _meant(name: str) -> str:
    """A sentence of the models that the name of a text encoder may have been meant to be."""
    near = get_close_matches(name, MODELS.names(), n=3)
    with suppress(RequestError):
        near.insert(0, MODELS.get(f"timm.{name}").name)
    return f" If it is no text encoder: did you mean {' or '.join(near)}?" if near else ""
