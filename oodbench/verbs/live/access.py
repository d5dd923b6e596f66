"""Who may ask: only a page of this server's, by a name of this machine's, with the token if any.

Without the check of names, a page of any site could have its own name point here, and read what
its visitor's dashboard shows (DNS rebinding). An address in numbers cannot be pointed elsewhere.
"""

import ipaddress
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = "127.0.0.1"
HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Access:
    """Where a server is, and what one has to know.

    Attributes:
        host: The name or address that it is bound to.
        token: What a request's query has to hold; empty: nothing.
    """

    host: str = LOCAL
    token: str = ""

    @classmethod
    def to(cls, host: str) -> "Access":
        """Only from this machine no token is needed."""
        return cls(host, "" if is_local(host) else secrets.token_urlsafe(24))

    def url(self, port: int) -> str:
        """The address that a browser opens."""
        everywhere = is_address(self.host) and ipaddress.ip_address(self.host).is_unspecified
        name = socket.gethostname() if everywhere else self.host
        shown = f"[{name}]" if ":" in name else name
        return f"http://{shown}:{port}/" + (f"?token={self.token}" if self.token else "")

    def knows(self, host_header: str) -> bool:
        """Whether a request may call this machine so."""
        name = host_header.rpartition(":")[0] if has_port(host_header) else host_header
        name = name.strip("[]").lower().removesuffix(".")
        return is_address(name) or name == self.host.lower() or name in names_here()

    def lets_in(self, query: str) -> bool:
        """Whether a request's query has the token."""
        given = parse_qs(query).get("token", [""])[0]
        return secrets.compare_digest(given.encode(), self.token.encode()) or not self.token


@cache
def names_here() -> frozenset[str]:
    """What this machine calls itself; asked once, for a name server may be slow to answer."""
    return frozenset(("localhost", socket.gethostname().lower(), socket.getfqdn().lower()))


def is_address(name: str) -> bool:
    """Whether it is an address in numbers."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to it."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def has_port(host_header: str) -> bool:
    """Whether a port stands behind the name; an IPv6 address has brackets."""
    return host_header.rpartition(":")[2].isdecimal() and not is_address(host_header)


class Guard:
    """Refuses requests that ``Access`` does not allow, and adds ``HEADERS`` to every answer."""

    def __init__(self, app: ASGIApp, access: Access, policy: str) -> None:
        self._app, self._access = app, access
        self._headers = {**HEADERS, "content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if not self._access.knows(Headers(scope=scope).get("host", "")):
            return PlainTextResponse("This server is not called so.", 421)
        if not self._access.lets_in(scope["query_string"].decode("latin-1")):
            return PlainTextResponse("Open the address that `oodbench dashboard` printed.", 403)
        return None
