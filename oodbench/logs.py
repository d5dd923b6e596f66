"""Workers' logs: how lines begin that say how far a worker is, and how a log ends."""

from pathlib import Path

COMPUTING = "computing "
"""Something for the cache, such as frozen features."""

TRAINING = "training "
"""A run that takes long."""

NO_ANSWER = "the database does not answer"
"""A database that is out of reach or has no room, which is asked again."""

TAIL = 2**18
"""Bytes from the end of a log that are read where only its end is asked for."""


def tail(log: Path) -> str:
    """The end of a worker's log; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def busy_with(log: Path) -> str:
    """What a worker computes, trains or waits for now, where that takes long; else nothing."""
    *_, last = ["", *tail(log).strip().splitlines()]
    return last if last.startswith((COMPUTING, TRAINING, NO_ANSWER)) else ""
