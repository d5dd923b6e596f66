"""The dashboard over HTTP: the page, and what is new as JSON. It only ever answers GET."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from oodbench import analysis
from oodbench.errors import OodbenchError
from oodbench.verbs.live.access import Access, Guard
from oodbench.verbs.live.feed import Feed


def make_app(feed: Feed, page: "analysis.DashboardPage", access: Access) -> Starlette:
    """The application that an ASGI server runs.

    Args:
        feed: What is new.
        page: What asks for it.
        access: Who may.
    """

    def show(request: Request) -> Response:
        return HTMLResponse(page.html)

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/changes", answering(feed.since, "since"), methods=["GET"]),
            Route("/curve", answering(feed.curve, "run"), methods=["GET"]),
            Route("/log", answering(feed.log, "run"), methods=["GET"]),
        ],
        middleware=[
            Middleware(Guard, access=access, policy=page.policy),
            Middleware(GZipMiddleware, minimum_size=10_000, compresslevel=4),
        ],
    )


def answering(
    ask: Callable[[str], Mapping[str, Any]], parameter: str
) -> Callable[[Request], Response]:
    """A function of a request's parameter as JSON; what cannot be answered has its ``problem``.

    Starlette runs it in a thread: it may wait for the database.
    """

    def answer(request: Request) -> Response:
        try:
            reply = ask(request.query_params.get(parameter, ""))
        except OodbenchError as error:
            reply = {"problem": str(error)}
        text = json.dumps(reply, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Response(text, media_type="application/json")

    return answer
