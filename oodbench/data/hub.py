"""Files of Hugging Face's hub: where they lie on this machine, and how they get here.

Only ``fetch`` ever uses the network. The files lie where the hub's own program puts them, so what
another program has got is found here, and the other way round.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from oodbench.data.sources import WEIGHTS_VARIABLE, named_folders
from oodbench.errors import RequestError


def hub_folders(repository: str) -> Iterator[Path]:
    """Where the files of a repository are looked for, in order.

    Args:
        repository: Repository, such as ``timm/resnet50.ram_in1k``; its owner may be left out.
    """
    yield from (folder / repository for folder in named_folders(WEIGHTS_VARIABLE))
    home = os.environ.get("HF_HOME")
    cache = Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or cache / "hub").expanduser()
    for entry in sorted(hub.glob(f"models--*{repository.replace('/', '--')}")):
        if entry.name.removeprefix("models--").split("--")[-1] == repository.split("/")[-1]:
            reference = entry / "refs" / "main"
            if reference.is_file():
                yield entry / "snapshots" / reference.read_text().strip()


def fetch_files(
    repository: str,
    needed: Sequence[Sequence[str]],
    optional: Sequence[str],
    root: Path | None,
    tell: Callable[[str], None],
) -> list[Path]:
    """Download files of a repository, and verify each against the hash that the hub has of it.

    Args:
        repository: Repository, such as ``distilbert-base-uncased``.
        needed: Lists of alternative files; of each list the first that the repository has is
            fetched.
        optional: Files that are got where it has them.
        root: The folder under which the repository's folder is made; None: the hub's own cache.
        tell: Called with a line for each file.

    Returns:
        The files.

    Raises:
        RequestError: If the repository or a needed file cannot be had, or one is damaged.
    """
    result = []
    for alternatives in [*needed, *([name] for name in optional)]:
        found = None
        for name in alternatives:
            found = found or _fetch_file(repository, name, root, tell)
        if found is None and alternatives[0] not in optional:
            raise RequestError(
                f"{repository} on the hub has no {' and no '.join(alternatives)}; weights are read "
                "from safetensors files, or from what torch.save wrote of tensors alone."
            )
        result += [found] if found else []
    return result


def _fetch_file(
    repository: str, name: str, root: Path | None, tell: Callable[[str], None]
) -> Path | None:
    """One file, or None if the repository has none of this name."""
    hub = _huggingface_hub()
    place = {} if root is None else {"local_dir": root / repository}
    try:
        about = hub.get_hf_file_metadata(hub.hf_hub_url(repository, name))
        path = Path(hub.hf_hub_download(repository, name, **place))
    except hub.errors.EntryNotFoundError:
        return None
    except Exception as error:  # of the network, of the hub, of the disk: of many kinds
        cause = " ".join(str(error).split())[:300].rstrip(".")
        raise RequestError(
            f"Cannot fetch {name} of {repository} from the hub: {type(error).__name__}: {cause}. "
            f"Without a network, copy the file to DIR/{repository}/{name} and name DIR in "
            f"{WEIGHTS_VARIABLE}."
        ) from error
    if not _is(path, about.etag):
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise RequestError(
            f"{name} of {repository} came damaged: its hash is not {about.etag}, as the hub has "
            "it. It was removed; fetch it again."
        )
    tell(f"{repository}/{name}: {path.stat().st_size / 1e6:.1f} MB, verified")
    return path


def _is(path: Path, etag: str) -> bool:
    """Whether a file has this hash: sha256 of large files, git's of small ones."""
    if len(etag) == hashlib.sha256().digest_size * 2:
        return sha256_of(path) == etag
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == etag


def _huggingface_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise RequestError(
            "Fetching from the hub needs huggingface_hub: pip install 'oodbench[timm]' or "
            "'oodbench[text]', which bring it."
        ) from error
    return huggingface_hub


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file; computed once as long as the file does not change."""
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache
def _digest(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
