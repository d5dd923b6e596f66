"""Where databases are: passwords that nobody sees, errors with their fix, network filesystems."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_server import Server

from oodbench.errors import DatabaseAwayError, DatabaseError
from oodbench.results import (
    check_database,
    copy_database,
    describe_target,
    open_database,
    upgrade_database,
)
from oodbench.results.connection.filesystems import NETWORK_OVERRIDE, Mount, mount_of
from oodbench.results.schema import REVISIONS

PASSWORD = "hush/hu:sh%40"
"""As it is written in a URL: ``hush/hu:sh@`` is what the server is told."""


@pytest.fixture(scope="session")
def guarded(server: Server) -> str:
    """Name of a database of the user ``secretive``, whom the server asks for a password."""
    server.execute("CREATE ROLE secretive LOGIN PASSWORD 'hush/hu:sh@'")
    server.create("guarded")
    server.execute("ALTER DATABASE guarded OWNER TO secretive")
    open_database(server.url("guarded", "secretive", PASSWORD), create=True).close()
    return "guarded"


def said(act: Callable[[], object], kind: type[DatabaseError] = DatabaseError) -> str:
    """The message of the error that ``act`` raises; no password in it or what caused it.

    It is of that very kind: one that may pass is a ``DatabaseAwayError``.
    """
    with pytest.raises(DatabaseError) as caught:
        act()
    assert type(caught.value) is kind
    error: BaseException | None = caught.value
    while error is not None:
        assert "hush" not in "".join(traceback.format_exception_only(error))
        error = error.__cause__ or error.__context__
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_password_in_the_url_is_used_and_not_shown(server: Server, guarded: str) -> None:
    url = server.url(guarded, "secretive", PASSWORD)
    with open_database(url) as db:
        shown = db.url
    assert shown == f"postgresql+psycopg://secretive:***@127.0.0.1:{server.port}/guarded"
    assert "hush" not in check_database(url).url + describe_target(url) + str(vars(db))
    assert upgrade_database(url)[1] == REVISIONS[-1]
    query = f"{server.url(guarded, 'secretive')}?password={PASSWORD}"
    with open_database(query) as db:
        assert "hush" not in db.url


def test_a_copy_shows_no_password(server: Server, guarded: str, tmp_path: Path) -> None:
    url = server.url(guarded, "secretive", PASSWORD)
    assert "hush" not in repr(copy_database(url, tmp_path / "copy.db"))
    copied = (tmp_path / "copy.db").read_bytes()
    assert b"hush" not in copied


@pytest.mark.parametrize("how", ["PGPASSWORD", "PGPASSFILE"])
def test_a_password_need_not_be_in_the_url(
    server: Server, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    url = server.url(guarded, "secretive")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    message = said(lambda: open_database(url))
    assert "no password supplied" in message
    assert "~/.pgpass" in message
    if how == "PGPASSWORD":
        monkeypatch.setenv(how, "hush/hu:sh@")
    else:
        path = tmp_path / "passwords"  # in the form of ~/.pgpass, which libpq reads by default
        monkeypatch.setenv("PGPASSFILE", str(path))
        path.write_text(f"127.0.0.1:{server.port}:guarded:secretive:hush/hu\\:sh@\n")
        path.chmod(0o600)
    open_database(url).close()


def test_what_the_server_refuses_is_said_with_the_fix(server: Server, guarded: str) -> None:
    at = f"at 127.0.0.1, port {server.port}, cannot be used by user secretive: "
    message = said(lambda: open_database(server.url(guarded, "secretive", "hushhush")))
    assert f"database guarded {at}" in message
    assert "password authentication failed" in message
    assert "Put the right password into ~/.pgpass" in message
    message = said(lambda: open_database(server.url("guardedd", "secretive", PASSWORD)))
    assert f"database guardedd {at}" in message
    assert f"createdb -h 127.0.0.1 -p {server.port} -U secretive guardedd" in message
    message = said(lambda: open_database(server.url(guarded, "nobody_here", PASSWORD)))
    assert 'role "nobody_here" does not exist. Correct the user in the URL' in message
    message = said(lambda: open_database(f"{server.url(guarded)}?nonsense=1"))
    assert "invalid connection option" in message


@pytest.mark.parametrize(
    ("host", "reason"),
    [("127.0.0.1:1", "refused"), ("no.such.host.invalid", "resolve"), ("", "")],
)
def test_a_server_that_is_not_there(
    host: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "2")
    url = f"postgresql://me:{PASSWORD}@{host}/runs"
    message = said(lambda: open_database(url), DatabaseAwayError)
    assert "The PostgreSQL database runs at " in message
    assert (host.split(":")[0] or "127.0.0.1, port 2") in message
    assert "user me" in message
    assert reason in message
    assert "See that the server runs there" in message


@pytest.mark.parametrize(
    "target",
    [
        "postgresql://me:hu@sh@hush@host/runs",
        "postgresql//me:hush@host/runs",
        "postgres:me:hush@host/runs",
        "host=there user=me password=hush",
        "postgresql://me:hush@host:port/runs",
        "mysql://me:hush@host/runs",
    ],
)
def test_addresses_that_are_mistyped_show_no_password(target: str) -> None:
    assert "Write" in said(lambda: open_database(target)) or "%40" in said(
        lambda: open_database(target)
    )


MOUNTS = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /home rw,nosuid shared:7 master:2 - nfs4 server:/export/home rw,vers=4.2
31 30 254:2 / /home/me/scratch rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/our\040files rw - cifs //server/share rw
33 22 0:42 / /lus rw - lustre 10.0.0.1@tcp:/lus rw
34 22 0:43 / /over rw - fuse.sshfs me@there: rw
35 22 0:44 / /twice rw - ext4 /dev/vdc rw
36 22 0:45 / /twice rw - beegfs beegfs rw
37 22 0:46 / /fast rw - gpfs fs1 rw
38 22 0:47 / /local rw - fuse.ntfs-3g /dev/vdd rw
"""


@pytest.mark.parametrize(
    ("path", "point", "kind", "network"),
    [
        ("/runs.db", "/", "ext4", False),
        ("/home/me/runs.db", "/home", "nfs4", True),
        ("/homely/runs.db", "/", "ext4", False),
        ("/home/me/scratch/runs.db", "/home/me/scratch", "xfs", False),
        ("/mnt/our files/a/runs.db", "/mnt/our files", "cifs", True),
        ("/lus/runs.db", "/lus", "lustre", True),
        ("/over/runs.db", "/over", "fuse.sshfs", True),
        ("/twice/runs.db", "/twice", "beegfs", True),
        ("/fast/runs.db", "/fast", "gpfs", True),
        ("/local/runs.db", "/local", "fuse.ntfs-3g", False),
    ],
)
def test_the_deepest_mount_decides(path: str, point: str, kind: str, network: bool) -> None:
    found = mount_of(Path(path), MOUNTS)
    assert found == Mount(point, kind)
    assert found.is_network == network


def test_sqlite_on_a_network_filesystem_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, mounts = tmp_path / "runs.db", tmp_path / "mounts"
    open_database(local, create=True).close()
    mounts.write_text(f"30 22 0:40 / {tmp_path} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr("oodbench.results.connection.filesystems.MOUNTINFO", mounts)
    for path, create in ((local, False), (tmp_path / "new.db", True)):
        message = said(lambda path=path, create=create: open_database(path, create=create))
        assert f"{path} is on a network filesystem (nfs4, mounted at {tmp_path})" in message
        assert "local disk, or use PostgreSQL: --db postgresql+psycopg://user@host/name" in message
    with pytest.raises(DatabaseError, match="nfs4"):
        upgrade_database(local)
    assert not (tmp_path / "new.db").exists()
    open_database(local, read_only=True).close()  # reading does no harm
    monkeypatch.setenv(NETWORK_OVERRIDE, "1")
    open_database(local).close()
    monkeypatch.setattr("oodbench.results.connection.filesystems.MOUNTINFO", tmp_path / "none")
    monkeypatch.delenv(NETWORK_OVERRIDE)
    open_database(local).close()


@pytest.mark.parametrize("text", ["me:s3cret@host/db", "me:s3cret@host", "postgres:s3cret@h/db"])
def test_a_url_without_its_scheme_is_not_quoted(text: str) -> None:
    for act in (describe_target, open_database):
        with pytest.raises(DatabaseError, match="cannot be read") as caught:
            act(text)
        assert "s3cret" not in str(caught.value)
