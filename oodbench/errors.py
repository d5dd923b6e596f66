"""Every error that oodbench raises on purpose.

OodbenchError                 the rule, the value and the fix, in one message
├── RequestError              the user asked for something that cannot be: exit code 2
│   ├── UnknownNameError      no such dataset, optimizer, key, ...: the near names are listed
│   ├── SweepError            a sweep file says something that does not hold
│   ├── QueryError            a --where, --select or --sql that cannot be answered
│   ├── DatabaseError         not a database of ours, an older or a newer one, no password, ...
│   │   └── DatabaseAwayError out of reach, locked, no room: it may answer when asked again
│   └── ArtifactError         weights that are not there, are damaged, or cannot be written
├── LostLeaseError            a late worker's result, refused: another worker has the trial now
├── StopTrainingError         the worker was asked to stop, and gives back what it holds
└── ProcessGoneError          a process of the same run died: this one ends as if it had, too
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class OodbenchError(Exception):
    """Base of all errors that oodbench raises on purpose."""


class RequestError(OodbenchError):
    """The request cannot be met as it stands; its message says what would be."""


class UnknownNameError(RequestError):
    """A name that is not among the known ones.

    Args:
        kind: What the name was meant to be, such as ``"optimizer"``.
        name: The name that was given.
        known: The names that exist.
        where: Where it was given, such as ``"sweep.yaml, train"``; may be empty.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], where: str = "") -> None:
        names = sorted(map(str, known))  # of a damaged database, some may be none
        parts = [one for one in names if len(str(name)) > 3 and str(name) in one]
        near = sorted(parts, key=len) or get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        place = f"{where}: " if where else ""
        allowed = ", ".join(names) or "none"
        super().__init__(f"{place}unknown {kind} {str(name)!r}.{hint} Allowed: {allowed}.")


def check_name(kind: str, name: object, known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        UnknownNameError: With those that are.
    """
    names = list(known)
    if name not in names:
        raise UnknownNameError(kind, name, names)


class SweepError(RequestError):
    """A sweep file says something that does not hold."""


class QueryError(RequestError):
    """A question to the results database that cannot be answered."""


class DatabaseError(RequestError):
    """A database that is not ours, is of another version, or cannot be used."""


class DatabaseAwayError(DatabaseError):
    """A database that is out of reach, locked or has no room: it may answer when asked again."""


class ArtifactError(RequestError):
    """A weights file that is missing or damaged, or an artifacts folder that cannot be used."""


class LostLeaseError(OodbenchError):
    """The lease on a trial went to another worker; this one's result is not stored."""


class StopTrainingError(OodbenchError):
    """The worker was asked to stop; what it holds is given back untrained."""


class ProcessGoneError(OodbenchError):
    """A process that trains the same run is gone; whether by the run's fault, others will show."""


def check_output(path: Path) -> None:
    """Refuse a folder or a device as an output: a file is renamed to it, so it would be replaced.

    Raises:
        RequestError: If it is one.
    """
    if path.exists() and not path.is_file():
        raise RequestError(f"Cannot write to {path}: it is a folder or a device. Name a file.")


@contextmanager
def writable(path: str | Path) -> Iterator[None]:
    """Errors of the system while ``path`` is written are RequestErrors that name it."""
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"Cannot write to {path}: {error.strerror}. Name another place."
        ) from error
