"""Files that datasets are made from, and the folders of this machine in which they lie."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from oodbench.errors import RequestError

ROOT_VARIABLE = "OODBENCH_DATA"
"""Environment variable with the data folder of this machine; several are joined as in ``PATH``.

Where the files lie is the machine's business: it is never part of a trial or of its id.
"""


WEIGHTS_VARIABLE = "OODBENCH_WEIGHTS"
"""Environment variable with folders of pretrained weights, joined in the same way."""


def named_folders(variable: str) -> list[Path]:
    """The folders that an environment variable names, joined as in ``PATH``."""
    value = os.environ.get(variable, "")
    return [Path(part).expanduser() for part in value.split(os.pathsep) if part]


def package_folders(distribution: str, folder: str) -> list[Path]:
    """A folder in the module of an installable package; none if it is not installed."""
    spec = find_spec(distribution.replace("-", "_"))
    places = (spec and spec.submodule_search_locations) or ()
    return [Path(place) / folder for place in places]


def data_roots() -> list[Path]:
    """The data folders of this machine."""
    return named_folders(ROOT_VARIABLE)


def root_with(folder: str) -> Path | None:
    """The first data folder of this machine that has this folder, if one has."""
    return next((root for root in data_roots() if (root / folder).is_dir()), None)


@dataclass(frozen=True)
class Source:
    """Files that datasets are made from, and that do not come with oodbench.

    Attributes:
        name: Name for ``oodbench fetch``.
        folder: Where they lie under a data folder.
        check: ``check(root)`` raises RequestError unless the files under this data folder are
            complete and right.
        fetch: ``fetch(root, tell)`` puts them there, verified; it keeps what is right already and
            calls ``tell`` with a line for each file. None: they cannot be downloaded without asking
            their owners.
        get: Where to get them, in a sentence, if they are not fetched.
    """

    name: str
    folder: str
    check: Callable[[Path], object]
    fetch: Callable[[Path, Callable[[str], None]], None] | None = None
    get: str = ""

    def is_here(self) -> bool:
        """Whether a data folder of this machine has this source's folder."""
        return root_with(self.folder) is not None

    def find(self) -> Path:
        """The first data folder of this machine that has this source's folder.

        Raises:
            RequestError: If none has, or none is named.
        """
        if root := root_with(self.folder):
            return root
        where = f"{ROOT_VARIABLE} names no data folder"
        if roots := data_roots():
            where = f"no {self.folder} in {' or '.join(map(str, roots))}"
        get = self.get or f"oodbench fetch {self.name} --root DIR puts the files there."
        raise RequestError(
            f"{self.name} needs files that are not here: {where}. Name a folder that has "
            f"{self.folder} in {ROOT_VARIABLE} or --root; {get}"
        )
