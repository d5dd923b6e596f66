"""oodbench dashboard: it starts, says where, and ends; and what is refused."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIVE = ("oodbench.verbs.live.access", "oodbench.verbs.live.app", "oodbench.verbs.live.serving")


def test_it_serves_until_it_is_interrupted(finished: Path) -> None:
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "oodbench", "dashboard", "--db", str(finished), "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as page:
            assert f"<title>{finished}</title>" in page.read().decode()
        with urllib.request.urlopen(f"{url}changes", timeout=60) as told:
            assert b'"completed":8' in told.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_without_the_extra_the_error_names_what_to_install(
    oodbench: Callable[..., Any], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LIVE:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "starlette.datastructures", None)
    ended = oodbench("dashboard", "--db", finished)
    assert ended.code == 2
    assert "needs starlette" in ended.err
    assert "pip install 'oodbench[dashboard]'" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "other"], "unknown sweep 'other'"),
        (["--port", "70000"], "--port must be from 0"),
        (["--host", "no-such-name.invalid"], "--host"),
    ],
)
def test_requests_that_cannot_be_met(
    oodbench: Callable[..., Any], finished: Path, words: list[str], said: str
) -> None:
    pytest.importorskip("uvicorn")
    ended = oodbench("dashboard", "--db", finished, *words)
    assert (ended.code, said in ended.err) == (2, True)


def test_a_database_that_is_not_there_is_refused(
    oodbench: Callable[..., Any], tmp_path: Path
) -> None:
    ended = oodbench("dashboard", "--db", tmp_path / "none.db")
    assert ended.code == 2
    assert "none.db" in ended.err
    assert list(tmp_path.iterdir()) == []
