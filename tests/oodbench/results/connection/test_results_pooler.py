"""PgBouncer between workers and the server, each transaction on whichever connection is free."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Server
from results_helpers import make_record, make_study, make_trial
from sqlalchemy import make_url

from oodbench.results import (
    add_sweep,
    check_database,
    claim,
    open_database,
    renew,
    sql,
    state_counts,
    store_runs,
)

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
WORKERS, CONNECTIONS, RUNS = 8, 2, 200


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def pooled(server: Server, postgresql: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database through a pooler that has two connections to the server."""
    if PROGRAM is None:
        pytest.skip("THE POOLER IS NOT TESTED: pgbouncer is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = make_url(postgresql)
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {CONNECTIONS}\n"
    )
    settings.chmod(0o644)
    user = {"user": "nobody"} if server._user else {}  # it refuses root, as PostgreSQL does
    within_reach = Path(shutil.copy(settings, server.folder / "pgbouncer.ini"))
    process = subprocess.Popen([PROGRAM, "-q", str(within_reach)], **user)
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert process.poll() is None, "pgbouncer ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield url.set(port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(20)


def test_more_workers_than_connections_store_each_run_once(server: Server, pooled: str) -> None:
    with open_database(pooled) as planned:
        trials = [make_trial(number) for number in range(RUNS)]
        add_sweep(planned, "sweep", {}, [make_study(trials)])
    stored: list[str] = []
    most = [0]

    def work(owner: str) -> None:
        with open_database(pooled) as mine:
            while claims := claim(mine, owner, size=5, lease=60):
                renew(mine, claims, lease=60)
                stored.extend(c.run for c in claims)
                assert store_runs(mine, [(c, make_record(c.trial)) for c in claims]) == []
                most[0] = max(most[0], connections(server))

    threads = [threading.Thread(target=work, args=(f"worker {i}",)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stored) == sorted(trial.id for trial in trials)
    assert 1 <= most[0] <= CONNECTIONS
    with open_database(pooled) as read:
        assert state_counts(read)["completed"] == RUNS
        assert sql(read, "SELECT count(*) AS n FROM runs")["n"].tolist() == [RUNS]
    check_database(pooled)


def connections(server: Server) -> int:
    """How many connections the server has to the database of the tests, but for the fixture's."""
    import psycopg

    asked = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = 'reused' AND application_name = 'oodbench'"
    )
    where = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as connection:
        return int(connection.execute(asked).fetchone()[0])
