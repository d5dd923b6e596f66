"""What lies in a folder of images: names that are no data, links, files that are left out."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from oodbench.errors import RequestError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Those that torchvision's ``ImageFolder`` reads; other files are left out, as there."""
SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("__macosx", "icon\r", "@eadir", "#recycle", "lost+found"),
}
"""Names that systems leave behind, in lower case."""
Identity = tuple[int, int]
"""Device and inode: the same for a file and every link to it."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: a copy, a preview, a trash can."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_image(name: str) -> bool:
    """Whether a file of this name is an image, by its extension."""
    return name.lower().endswith(EXTENSIONS)


def entries_of(path: Path) -> list["os.DirEntry[str]"]:
    """What a folder has, by name, without what is hidden.

    Raises:
        RequestError: If it cannot be listed.
    """
    try:
        with os.scandir(path) as entries:
            return sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise RequestError(f"{path} cannot be listed: {error.strerror or error}.") from error


def folders_in(path: Path) -> list[str]:
    """Names of the folders there, in order; hidden ones are none.

    Raises:
        RequestError: If a link leads nowhere, so that a folder may be missing, or a name is none
            that the database can keep.
    """
    entries = entries_of(path)
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise RequestError(
                f"{entry.path} is a link to nothing ({os.readlink(entry.path)}); fix it, or "
                "remove it."
            )
    names = [entry.name for entry in entries if entry.is_dir()]
    for name in names:
        if shown(name) != name:
            raise RequestError(f"The name of the folder {shown(name)} in {path} is not in UTF-8.")
    return names


def shown(name: str) -> str:
    """A name that can be printed, of one that may have bytes which are no text."""
    return name.encode(errors="backslashreplace").decode()


@dataclass
class Listing:
    """Images found so far under one root, each file once in its environment.

    Attributes:
        root: What paths are relative to.
        others: Files in class folders that are left out for their extension.
        outside: Images that lie in no class folder.
        again: Links to files that are there already.
    """

    root: Path
    others: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    _prefix: str = field(init=False)
    _known: dict[Identity, tuple[str, str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._prefix = os.path.join(self.root, "")  # joining paths would be half of the time

    def images_in(self, folder: str, environment: str, kind: str) -> list[str]:
        """Images in a class folder and below it, in the order of torchvision's ``make_dataset``.

        Args:
            folder: Its path under the root.
            environment, kind: What its images are of.

        Raises:
            RequestError: If it has none, or one that is of another class as well.
        """
        found = []
        for within, name in self._walk(folder):
            file = f"{within}/{name}"
            if not is_image(name):
                self.others.append(file)
            elif self._is_new(file, environment, kind):
                found.append(file)
        if not found:
            raise RequestError(f"{self.root / folder} has no image ({', '.join(EXTENSIONS)}).")
        return found

    def note_outside(self, folder: str) -> None:
        """Remember the images of a folder that should have nothing but folders."""
        names = [e.name for e in entries_of(self.root / folder) if not e.is_dir()]
        self.outside += [str(PurePath(folder, name)) for name in names if is_image(name)]

    def _walk(self, folder: str) -> Iterator[tuple[str, str]]:
        """Each file below: its folder's path under the root and its name; a loop of links ends."""
        top = self.root / folder
        above = [top, *list(top.parents)[: len(PurePath(folder).parts)]]
        visited = {_identity(path) for path in above}
        below: list[tuple[str, list[str]]] = []
        waiting = [top]
        while waiting:
            here, names = waiting.pop(), []
            for entry in entries_of(here):
                if not entry.is_dir():
                    names.append(entry.name)
                elif (identity := _identity(entry.path)) not in visited:
                    visited.add(identity)
                    waiting.append(Path(entry.path))
            below.append((here.relative_to(self.root).as_posix(), names))
        for within, names in sorted(below):
            for name in names:
                yield within, name

    def _is_new(self, file: str, environment: str, kind: str) -> bool:
        try:
            identity = _identity(f"{self._prefix}{file}")
        except OSError:  # a link to nothing: the harm of this file, when it is read
            return True
        first, mine, theirs = self._known.setdefault(identity, (file, kind, environment))
        if first == file:
            return True
        if mine != kind:
            raise RequestError(
                f"{self.root / first} and {self.root / file} are links to one file, which cannot "
                f"be of both classes {mine} and {kind}; remove one."
            )
        if theirs == environment:
            self.again.append(file)
        return theirs != environment


def _identity(path: str | Path) -> Identity:
    stat = os.stat(path)
    return stat.st_dev, stat.st_ino


def told_left_out(listing: Listing) -> list[str]:
    """What was left out, by the reason, in lines of text."""
    lines = []
    if listing.others:
        kinds = Counter(PurePath(file).suffix.lower() or "no extension" for file in listing.others)
        each = ", ".join(f"{kind}: {n}" for kind, n in kinds.most_common(12))
        lines.append(
            f"  left out: {_files(listing.others)} whose extension is not that of an image "
            f"({each}); images are {', '.join(EXTENSIONS)}"
        )
    if listing.outside:
        lines.append(f"  left out: {_files(listing.outside)} outside of the classes' folders")
    if listing.again:
        lines.append(f"  left out: {_files(listing.again)} that are links to files already there")
    return lines


def _files(files: Sequence[str]) -> str:
    return f"{len(files)} file{'s' * (len(files) > 1)} (first {shown(files[0])})"
