"""Where a file or folder of your own lies."""

from pathlib import Path
from typing import Any

from oodbench.data import data_roots
from oodbench.errors import RequestError

OWN: dict[str, Any] = {"licence": "Yours.", "own": True}
"""What is known of every dataset that is made of such files."""


def check_named(dataset: str, kind: str, name: Any, what: str) -> str:
    """The name that an option has, or RequestError; arguments as of ``sought``."""
    if not isinstance(name, str) or not name:
        raise RequestError(f"{dataset} needs {kind}: {what}; got {name!r}.")
    return name


def check_folder(dataset: str, folder: Any) -> str:
    """The folder that an option names, or RequestError."""
    return check_named(
        dataset, "folder", folder, "the name of a folder under a data folder (--root)"
    )


def sought(dataset: str, kind: str, name: Any, what: str) -> Path:
    """The file or folder of that name under a data folder of this machine, or at that path.

    Args:
        dataset: Name of the dataset, for the message.
        kind: ``file`` or ``folder``: also the option that names it.
        name: What the option says.
        what: It should say, for the message.

    Raises:
        RequestError: If it names none, or there is none.
    """
    named, roots = check_named(dataset, kind, name, what), data_roots()
    for root in roots:
        path = root / named
        if path.is_file() if kind == "file" else path.is_dir():
            return path
    if not roots:
        raise RequestError(
            f"{dataset}: {name!r} is sought in a data folder, but none is named; add --root FOLDER."
        )
    where = " or ".join(map(str, roots))
    raise RequestError(f"{dataset}: there is no {kind} {name!r} in {where}.")
