"""A database that is being filled by hand, of either kind, and a server that shows it."""

import contextlib
import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench import analysis
from oodbench.results import Claim, add_sweep, claim, open_database, store_runs
from oodbench.verbs.live.feed import Feed

NUMBERS = itertools.count()


@dataclass
class Filled:
    """A database, and what happens to it.

    Attributes:
        target: Its path or URL.
        trials: How many trials it has.
    """

    target: str
    trials: int = 0
    claims: list[Claim] = field(default_factory=list)

    def plan(self, n: int, name: str = "one", **changes: Any) -> None:
        """A sweep of one study of ``n`` trials."""
        trials = [make_trial(self.trials + i, **changes) for i in range(n)]
        self.trials += n
        with open_database(self.target) as db:
            add_sweep(db, name, {}, [make_study(trials, f"study {name}")])

    def take(self, n: int, owner: str = "vm:worker-0:0a") -> Sequence[Claim]:
        """A worker claims runs."""
        with open_database(self.target) as db:
            self.claims += (claims := claim(db, owner, size=n, lease=60))
        return claims

    def end(self, n: int, *scores: float, status: str = "completed", **more: Any) -> list[str]:
        """The ``n`` runs that were claimed first end, with these ID validation accuracies."""
        claims, self.claims = self.claims[:n], self.claims[n:]
        values = itertools.chain(scores, itertools.repeat(0.5))
        done = [
            make_record(
                item.trial,
                *((step, "e", role, of(score), 20) for step in (50, 100) for role, of in ROLES),
                status=status,
                **more,
            )
            for item, score in zip(claims, values, strict=False)
        ]
        with open_database(self.target) as db:
            assert store_runs(db, list(zip(claims, done, strict=True))) == []
        return [item.run for item in claims]


ROLES: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("id_val", lambda score: score),
    ("id_test", lambda score: score),
    ("ood_test", lambda score: 1 - score),  # whoever is better in one is worse in the other
)


@pytest.fixture
def filled_file(tmp_path: Path) -> Filled:
    """A SQLite database without results."""
    open_database(tmp_path / "runs.db", create=True).close()
    return Filled(str(tmp_path / "runs.db"))


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest) -> Iterator[Filled]:
    """A database of each kind in turn, without results."""
    if request.param == "sqlite":
        yield request.getfixturevalue("filled_file")
        return
    server, name = request.getfixturevalue("server"), f"live_{next(NUMBERS)}"
    yield Filled(server.create(name, template="prepared"))
    server.drop(name)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question looks at the database."""
    monkeypatch.setattr("oodbench.verbs.live.feed.EVERY", 0.0)
    monkeypatch.setattr("oodbench.verbs.live.feed.SHARE", 1e9)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Served:
    """A server on a free port."""

    port: int
    url: str

    def ask(self, path: str, method: str = "GET", host: str = "", **params: str) -> Answer:
        """An answer to a request that calls the server ``host``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        query = f"?{urlencode(params)}" if params else ""
        named = {"Host": host or f"127.0.0.1:{self.port}"}
        with contextlib.closing(connection):
            connection.request(method, f"{path}{query}", headers=named)
            got = connection.getresponse()
            headers = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, headers, got.read().decode())


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts the dashboard of a database in a thread."""
    pytest.importorskip("uvicorn")
    from oodbench.verbs.live.access import Access
    from oodbench.verbs.live.app import make_app
    from oodbench.verbs.live.serving import bound, server_of

    with contextlib.ExitStack() as stack:

        def start(target: str | Path, host: str = "127.0.0.1", **options: Any) -> Served:
            access, listening = Access.to(host), stack.enter_context(bound(host, 0))
            page = analysis.dashboard_page(str(target))
            server = server_of(make_app(Feed(str(target), **options), page, access))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            port = listening.getsockname()[1]
            return Served(port, access.url(port))

        yield start
