"""A server on a socket of this machine's, and how it ends."""

import socket

import uvicorn
from starlette.applications import Starlette

from oodbench.errors import RequestError

LEAVING = 2
"""Seconds that answers have to end when the server does."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at a port; 0: at any that is free.

    Raises:
        RequestError: If the port is taken, or there is no such name or address here.
    """
    if not 0 <= port < 2**16:
        raise RequestError(f"--port must be from 0 (any that is free) to 65535, but got {port}.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise RequestError(
            f"Cannot listen at {host}, port {port}: {error.strerror or error}. Choose another "
            "--port (0: any that is free), or a --host of this machine's."
        ) from error


def server_of(app: Starlette) -> uvicorn.Server:
    """A server that says nothing of single requests: their addresses may hold the token."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=LEAVING,
        )
    )
