"""Where a file or folder of one's own lies."""

from pathlib import Path
from typing import Any

from oodbench.data import data_roots
from oodbench.errors import RequestError

OWN: dict[str, Any] = {"licence": "Yours.", "own": True}
"""What is known of every dataset that is made of such files."""


def sought(dataset: str, kind: str, name: Any, what: str) -> Path:
    """The file or folder of that name under a data folder of this machine, or at that path.

    Args:
        dataset: Its name, for the message.
        kind: ``file`` or ``folder``: also the option that names it.
        name: What the option says.
        what: It should say, for the message.

    Raises:
        RequestError: If it names none, or there is none.
    """
    if not isinstance(name, str) or not name:
        raise RequestError(f"{dataset} needs {kind}: {what}; got {name!r}.")
    roots = data_roots()
    for root in roots:
        path = root / name
        if path.is_file() if kind == "file" else path.is_dir():
            return path
    if not roots:
        raise RequestError(
            f"{dataset}: {name!r} is sought in a data folder, but none is named; add --root FOLDER."
        )
    where = " or ".join(map(str, roots))
    raise RequestError(f"{dataset}: there is no {kind} {name!r} in {where}.")
