"""Patience with a database: what may pass is waited for, what will not is told at once."""

from collections.abc import Callable

import pytest

from oodbench.errors import DatabaseAwayError, DatabaseError
from oodbench.workers import lease
from oodbench.workers.lease import patiently


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PAUSE", 0.01)


def raising(*errors: Exception) -> Callable[[], str]:
    """Raises the errors in turn, and then answers."""
    left = iter(errors)

    def ask() -> str:
        for error in left:
            raise error
        return "answer"

    return ask


def test_a_database_that_is_away_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    away, other = DatabaseAwayError("locked"), DatabaseAwayError("full")
    assert patiently(raising(away, away, away, other, away)) == "answer"
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in told] == ["locked", "full", "locked"]


def test_what_waiting_does_not_help_is_told_at_once() -> None:
    with pytest.raises(DatabaseError, match="not ours"):
        patiently(raising(DatabaseError("not ours")))


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseAwayError):
        patiently(raising(DatabaseAwayError("away")), lambda: True)
    monkeypatch.setattr(lease, "PATIENCE", 0.05)
    with pytest.raises(DatabaseAwayError):
        patiently(raising(*[DatabaseAwayError("away")] * 1000))
