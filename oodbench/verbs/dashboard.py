"""The dashboard of a database: the report's explorer, living, while any executor works."""

from collections.abc import Callable
from pathlib import Path

from oodbench import analysis
from oodbench.errors import RequestError
from oodbench.results import describe_target, open_database, state_counts


def dashboard(
    db: str | Path,
    *,
    sweep: str | None = None,
    logs: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8050,
    on_start: Callable[[str], None] = print,
) -> None:
    """Serve a page that shows how sweeps go, until it is interrupted.

    It only reads the database. Runs appear as they end, whatever executor trains them.

    Args:
        db: URL or path of the database.
        sweep: Only runs of this sweep.
        logs: Folder of the workers' logs; by default beside a SQLite file, else ``oodbench-logs``.
        host: Name or address to be reached at. By default only from this machine; from others, who
            opens the page needs the token in its address.
        port: Port to listen on; 0: any free one.
        on_start: Called with the page's address once it can be opened.

    Raises:
        DatabaseError: If the database cannot be used.
        UnknownNameError: If there is no such sweep.
        RequestError: If the extra ``dashboard`` is not installed, or the port is taken.
    """
    try:
        from oodbench.verbs.live.access import Access
        from oodbench.verbs.live.app import make_app
        from oodbench.verbs.live.serving import bound, server_of
    except ModuleNotFoundError as error:
        raise RequestError(
            f"The dashboard needs {error.name}: pip install 'oodbench[dashboard]'."
        ) from error
    from oodbench.verbs.live.feed import Feed

    with open_database(db, read_only=True) as database:
        state_counts(database, sweep)  # refuses a sweep that there is not
    access, page = Access.to(host), analysis.dashboard_page(describe_target(db), sweep)
    feed = Feed(str(db), sweep, Path(logs) if logs else None)
    with bound(host, port) as listening:
        on_start(access.url(listening.getsockname()[1]))
        server_of(make_app(feed, page, access)).run(sockets=[listening])
