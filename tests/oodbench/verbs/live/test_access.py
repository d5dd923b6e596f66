"""Who may ask the dashboard's server: by what names, with what token, how, and what it sends."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("starlette")

from oodbench.errors import RequestError
from oodbench.verbs.live.access import Access, is_local
from oodbench.verbs.live.serving import bound

PATHS = ("/", "/changes", "/curve", "/log")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("127.0.0.1:8050", True),
        ("localhost:8050", True),
        ("LOCALHOST", True),
        ("[::1]:8050", True),
        ("::1", True),
        ("10.0.0.7:8050", True),  # no name, so nobody can point it here
        (socket.gethostname(), True),
        ("login.example.org:8050", True),
        ("login.example.org.", True),
        ("evil.example.com:8050", False),
        ("localhost.evil.example.com", False),
        ("127.0.0.1.evil.example.com:80", False),
        ("example.org", False),
        ("", False),
        (":8050", False),
    ],
)
def test_a_server_is_asked_by_names_of_its_machine_alone(name: str, known: bool) -> None:
    assert Access("login.example.org").knows(name) is known


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.7", False), ("login", False)),
    ],
)
def test_only_from_this_machine_no_token_is_needed(host: str, local: bool) -> None:
    access = Access.to(host)
    assert is_local(host) is local
    assert (access.token == "") is local
    assert access.lets_in(f"since=&token={access.token}")
    assert access.lets_in("since=") is local
    assert access.lets_in("token=no") is local
    assert len(access.token) in (0, 32)  # 24 random bytes
    assert Access.to(host).token != access.token or local


def test_addresses_are_such_as_a_browser_opens() -> None:
    assert Access().url(8050) == "http://127.0.0.1:8050/"
    assert Access("::1").url(80) == "http://[::1]:80/"
    assert Access("0.0.0.0", "abc").url(1) == f"http://{socket.gethostname()}:1/?token=abc"


def test_a_page_of_another_name_gets_nothing(filled, serve: Callable[..., Any]) -> None:
    """As one whose name was made to point to this machine."""
    server = serve(filled.target)
    for path in PATHS:
        assert server.ask(path, host="evil.example.com").status == 421
        assert server.ask(path, host=f"localhost:{server.port}").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_from_other_machines_everything_needs_the_token(
    filled, serve: Callable[..., Any], path: str
) -> None:
    server = serve(filled.target, host="0.0.0.0")
    token = server.url.partition("?token=")[2]
    assert server.ask(path).status == 403
    assert server.ask(path, token="wrong").status == 403
    assert server.ask(path, token="").status == 403
    assert server.ask(path, token="\N{SNOWMAN}").status == 403
    answer = server.ask(path, token=token)
    assert answer.status == 200
    assert token not in answer.text


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_every_answer_has_the_policy_and_may_be_kept_by_nobody(
    filled, serve: Callable[..., Any], path: str
) -> None:
    answer = serve(filled.target).ask(path)
    assert answer.status == (404 if path == "/nothing" else 200)
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy.split("; ")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def test_it_answers_nothing_but_get(filled, serve: Callable[..., Any]) -> None:
    server = serve(filled.target)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert {server.ask(path, method).status for path in PATHS} == {405}


def test_answers_are_what_is_new_or_a_problem(filled, serve: Callable[..., Any]) -> None:
    filled.plan(3)
    filled.take(2)
    [run] = filled.end(1, 0.75)
    server = serve(filled.target)
    first = server.ask("/changes").json
    assert first["runs"]["n"] == 1
    again = server.ask("/changes", since=first["cursor"]).json
    assert "runs" not in again
    assert server.ask("/curve", run=run).json["id"] == [0.75, 0.75]
    assert "--logs" in server.ask("/log", run=run).json["text"]
    assert "No run has an id" in server.ask("/log", run="no such").json["problem"]
    assert server.ask("/curve", run="' or 1 = 1 or run = '").json["steps"] == []


def test_ports_that_cannot_be_had_are_named(filled, serve: Callable[..., Any]) -> None:
    port = serve(filled.target).port
    with pytest.raises(RequestError, match=f"port {port}.*--port"):
        bound("127.0.0.1", port)
    with pytest.raises(RequestError, match="to 65535, but got 70000"):
        bound("127.0.0.1", 70000)
    with pytest.raises(RequestError, match="--host"):
        bound("no-such-name.invalid", 0)
    with pytest.raises(RequestError, match="--host"):
        bound("192.0.2.1", 0)  # an address that is nobody's
