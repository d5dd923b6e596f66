"""Opening, creating and refusing databases."""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from results_helpers import TRIALS, fill, make_study, make_trial
from sqlalchemy import Connection, Dialect, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from oodbench.errors import DatabaseAwayError, DatabaseError
from oodbench.results import (
    Database,
    add_sweep,
    check_database,
    curves,
    is_empty,
    load_run,
    open_database,
    runs,
    sql,
    state_counts,
    upgrade_database,
)
from oodbench.results.connection.migrate import alembic_config
from oodbench.results.schema import REVISIONS, TABLES, VERSION_TABLE, metadata
from oodbench.results.views import VIEWS, drop_views, view_sql


def set_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = ?", [revision])


def test_a_path_and_a_url_are_the_same_database(tmp_path: Path) -> None:
    path = tmp_path / "a b?.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, [make_study([make_trial()])])
    with open_database(path) as db:
        assert state_counts(db)["waiting"] == 1
    plain = tmp_path / "plain.db"
    open_database(f"sqlite:///{plain}", create=True).close()
    open_database(plain).close()


def test_sqlite_is_set_up_for_many_processes(sqlite: str) -> None:
    with open_database(sqlite) as db, db.read() as connection:
        connection.exec_driver_sql("SELECT * FROM runs")  # only then does it look at the file
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 1,
        "busy_timeout": 60_000,
        "foreign_keys": 1,
    }


def test_the_current_revision_is_alembics_head() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert script.get_heads() == [REVISIONS[-1]]
    assert [item.revision for item in script.walk_revisions()][::-1] == list(REVISIONS)


def test_an_error_rolls_back(db: Database) -> None:
    def break_halfway() -> None:
        with db.write() as connection:
            connection.exec_driver_sql("INSERT INTO sweeps VALUES (1, 'x', '{}', 0.0)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_halfway()
    with db.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sweeps").scalar() == 0


def test_a_missing_database_is_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"no database at .*none.db.*oodbench sweep"):
        open_database(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=f"folder {tmp_path / 'nowhere'} does not exist"):
        open_database(tmp_path / "nowhere" / "runs.db", create=True)
    with pytest.raises(DatabaseError, match="is a folder"):
        open_database(tmp_path, create=True)


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may all
    with pytest.raises(DatabaseError, match=f"folder {tmp_path} cannot be written"):
        open_database(tmp_path / "runs.db", create=True)


def test_files_of_others_are_refused_and_left_alone(tmp_path: Path) -> None:
    text, foreign, empty = (tmp_path / name for name in ("text.db", "foreign.db", "empty.db"))
    text.write_text("not a database, but long enough to be looked at as one" * 100)
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE trials (x)")
        connection.execute("CREATE TABLE alembic_version (version_num)")
    empty.touch()
    for create in (False, True):
        with pytest.raises(DatabaseError, match=r"text.db is not a SQLite database"):
            open_database(text, create=create)
        with pytest.raises(DatabaseError, match=r"not an oodbench database: it holds .*trials"):
            open_database(foreign, create=create)
    with pytest.raises(DatabaseError, match=r"empty.db is empty"):
        open_database(empty)
    with pytest.raises(DatabaseError, match=r"empty.db is empty"):
        upgrade_database(empty)


def test_a_database_is_empty_until_it_is_created(nothing: str, tmp_path: Path) -> None:
    assert is_empty(nothing)
    open_database(nothing, create=True).close()
    assert not is_empty(nothing)
    with sqlite3.connect(tmp_path / "foreign.db") as connection:
        connection.execute("CREATE TABLE trials (x)")
    with pytest.raises(DatabaseError, match="not an oodbench database"):
        is_empty(tmp_path / "foreign.db")


def test_what_may_pass_is_told_from_what_will_not(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oodbench.results.connection.engines.BUSY_SECONDS", 0.05)
    with open_database(sqlite) as db, sqlite3.connect(sqlite, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAwayError, match="locked"), db.write():
            pass
        other.execute("ROLLBACK")
        with db.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # no less than there is
        big = json.dumps("x" * 1_000_000)
        with pytest.raises(DatabaseAwayError, match="is full"), db.write() as connection:
            connection.exec_driver_sql("INSERT INTO sweeps VALUES (1, 'x', ?, 0.0)", (big,))
        with pytest.raises(DatabaseError, match="no such table") as caught, db.read() as connection:
            connection.exec_driver_sql("SELECT * FROM trials")
        assert type(caught.value) is DatabaseError


def test_other_versions_are_refused_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    open_database(path, create=True).close()
    set_revision(path, "9999")
    for act in (open_database, upgrade_database):
        with pytest.raises(DatabaseError, match=r"9999.*pip install -U oodbench"):
            act(path)
    set_revision(path, "0000")
    monkeypatch.setattr("oodbench.results.connection.database.REVISIONS", ("0000", *REVISIONS))
    with pytest.raises(DatabaseError, match=r"older oodbench.*oodbench db upgrade --db"):
        open_database(path)


def test_upgrading_a_current_database_changes_nothing(db: Database) -> None:
    add_sweep(db, "s", {}, [make_study([make_trial()])])
    assert upgrade_database(db.url) == (REVISIONS[-1], REVISIONS[-1])
    assert len(runs(db)) == 1


def columns_of(connection: Connection) -> dict[str, list[str]]:
    database = inspect(connection)
    return {t.name: [c["name"] for c in database.get_columns(t.name)] for t in TABLES}


def undo_series(connection: Connection) -> None:
    """As before schema 0008: measurements name what they are of, and provenance is whole."""
    connection.exec_driver_sql("UPDATE runs SET origin = NULL")  # SQLite keeps it in the rows
    connection.exec_driver_sql(
        "CREATE TABLE was AS SELECT run_id, step, environment, split, role, metric, value, n "
        "FROM curves ORDER BY run_id, idx"
    )
    drop_views(connection)
    for table in ("points", "series"):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN origin")
    else:  # SQLite drops no column that refers to another table
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            "UPDATE sqlite_master SET sql = replace(replace(sql, 'origin TEXT,', ''), "
            "', \n\tFOREIGN KEY(origin) REFERENCES origins (id)', '') WHERE name = 'runs'"
        )
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    connection.exec_driver_sql("DROP TABLE origins")
    number = "SERIAL" if connection.dialect.name == "postgresql" else "INTEGER"
    connection.exec_driver_sql(
        f"CREATE TABLE curves (id {number} PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs (id), "
        "step INTEGER NOT NULL, environment TEXT NOT NULL, split TEXT NOT NULL, "
        "role TEXT NOT NULL, metric TEXT NOT NULL, value FLOAT, n INTEGER NOT NULL)"
    )
    names = "run_id, step, environment, split, role, metric, value, n"
    connection.exec_driver_sql(f"INSERT INTO curves ({names}) SELECT {names} FROM was")
    connection.exec_driver_sql("DROP TABLE was")
    connection.exec_driver_sql("CREATE INDEX ix_curves_run_id ON curves (run_id)")


def drop_predictions(connection: Connection) -> None:
    """As before schema 0006."""
    undo_series(connection)
    for index in ("ix_runs_state_id", "ix_study_trials_run_id_study_id"):  # of 0007
        connection.exec_driver_sql(f"DROP INDEX {index}")
    connection.exec_driver_sql("CREATE INDEX ix_study_trials_run_id ON study_trials (run_id)")
    for table in ("predictions", "answer_keys"):
        connection.exec_driver_sql(f"DROP TABLE {table}")


def test_a_database_of_the_first_schema_is_upgraded_with_its_runs(db: Database) -> None:
    add_sweep(db, "s", {}, [make_study([make_trial()])])
    before = runs(db)
    with db.write() as connection:  # as oodbench made them then
        new = columns_of(connection)
        drop_predictions(connection)
        connection.exec_driver_sql("ALTER TABLE studies DROP COLUMN agenda")
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN excused")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    with pytest.raises(DatabaseError, match="oodbench db upgrade"):
        open_database(db.url)
    assert upgrade_database(db.url) == ("0001", REVISIONS[-1])
    with open_database(db.url) as upgraded:
        pd.testing.assert_frame_equal(runs(upgraded), before)
        assert sql(upgraded, "SELECT agenda FROM studies")["agenda"].tolist() == [None]
        assert sql(upgraded, "SELECT excused FROM runs")["excused"].tolist() == [0]
        with upgraded.read() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            assert compare_metadata(context, metadata) == []
            assert columns_of(connection) == new


def test_upgrading_makes_the_views_anew(db: Database) -> None:
    with db.write() as connection:
        drop_predictions(connection)
        connection.exec_driver_sql("CREATE VIEW v_pairs AS SELECT id AS run FROM runs")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0002'")
    assert upgrade_database(db.url) == ("0002", REVISIONS[-1])
    with open_database(db.url) as upgraded:
        assert sql(upgraded, "SELECT gradient_evaluations FROM v_pairs").empty


def test_measurements_and_provenance_survive_their_new_tables(db: Database) -> None:
    fill(db)
    kept = [runs(db), *(curves(db, trial.id) for trial in TRIALS)]
    record = load_run(db, TRIALS[0].id)
    with db.write() as connection:  # as oodbench stored a run then
        undo_series(connection)
        whole = json.dumps(record.provenance)
        connection.execute(
            text("UPDATE runs SET provenance = :whole, trial = :trial WHERE id = :id"),
            {"whole": whole, "trial": json.dumps(TRIALS[0].to_json()), "id": TRIALS[0].id},
        )
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0007'")
    assert upgrade_database(db.url) == ("0007", REVISIONS[-1])
    with open_database(db.url) as upgraded:
        again = [runs(upgraded), *(curves(upgraded, trial.id) for trial in TRIALS)]
        for before, after in zip(kept, again, strict=True):
            pd.testing.assert_frame_equal(before, after)
        old = load_run(upgraded, TRIALS[0].id)
        assert old.trial.to_json() == record.trial.to_json()
        assert old.provenance == record.provenance
        assert old.provenance["python"] == "3.11"
        names = sql(upgraded, "SELECT environment, role FROM series ORDER BY 1, 2").to_numpy()
        assert [tuple(row) for row in names] == [
            ("e0", "id_val"),
            ("e1", "id_val"),
            ("e1", "ood_test"),
            ("e2", "id_val"),
        ]
    assert check_database(db.url).problems == ()


@pytest.mark.parametrize("how", ["moved", "replaced", "removed"])
def test_a_file_that_is_moved_while_it_is_open_is_noticed(tmp_path: Path, how: str) -> None:
    path, moved = tmp_path / "runs.db", tmp_path / "moved.db"
    with open_database(path, create=True) as db:
        path.rename(moved)
        if how == "replaced":
            open_database(path, create=True).close()
        elif how == "removed":
            moved.unlink()
        for use in (db.write, db.read):
            with pytest.raises(DatabaseAwayError, match=r"runs\.db-wal, which belongs to") as error:
                use().__enter__()
            assert f"{path} was moved, removed or replaced" in str(error.value)
        if how != "removed":
            moved.replace(path)  # put back, it is used on
            with db.write():
                pass


def test_read_only(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    open_database(path, create=True).close()
    with open_database(path, read_only=True) as db:
        assert runs(db).empty
        with pytest.raises(DatabaseError, match="for reading only"), db.write():
            pass
        with pytest.raises(DatabaseError), db.read() as connection:
            connection.exec_driver_sql("INSERT INTO sweeps VALUES (1, 'x', '{}', 0.0)")


def test_reading_leaves_no_files_and_changes_none(tmp_path: Path) -> None:
    path, killed = tmp_path / "runs.db", tmp_path / "killed.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, [make_study([make_trial()])])
        for end in ("", "-wal"):  # as a worker leaves them that is killed
            Path(f"{killed}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    before = path.read_bytes()
    with open_database(path, read_only=True) as db:
        assert len(runs(db)) == 1
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.glob("runs.db*")] == ["runs.db"]
    left = killed.read_bytes(), Path(f"{killed}-wal").read_bytes()
    assert left[1], "what was added is only there"
    with open_database(killed, read_only=True) as db:
        assert len(runs(db)) == 1
    assert (killed.read_bytes(), Path(f"{killed}-wal").read_bytes()) == left


def test_a_database_in_a_folder_of_others_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, [make_study([make_trial()])])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DatabaseError, match="cannot be written"):
        open_database(path)
    with open_database(path, read_only=True) as db:
        assert len(runs(db)) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["runs.db"], "immutable: no -shm file"


def test_other_targets_are_refused() -> None:
    for target, match in {
        "mysql://host/x": "SQLite or PostgreSQL",
        "sqlite://": "in memory",
        "postgresql ://a:secret@host": "cannot be read",
        "postgresql://a:secret@host:port/x": "cannot be read",
    }.items():
        with pytest.raises(DatabaseError, match=match) as caught:
            open_database(target)
        assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://me:secret@127.0.0.1:1/x"
    with pytest.raises(DatabaseError, match="cannot be used") as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "at 127.0.0.1, port 1, cannot be used by user me" in str(caught.value)


def create(path: Path, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    with open_database(path, create=True) as db:
        add_sweep(db, "s", {}, [make_study([make_trial()])])


def test_processes_that_create_at_once_both_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, path = context.Barrier(3), tmp_path / "runs.db"
    processes = [context.Process(target=create, args=(path, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with open_database(path) as db:
        assert len(runs(db)) == 1


def test_importing_and_opening_is_light(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    open_database(path, create=True).close()
    code = (
        "import sys; from oodbench.results import open_database, state_counts\n"
        f"state_counts(open_database({str(path)!r}))\n"
        "print([m for m in ('alembic', 'pandas', 'torch', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_here_needs_what_only_unix_has(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    code = (
        "import sys\n"
        "for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios'): sys.modules[name] = None\n"
        "import oodbench.exporting, oodbench.importing, oodbench.sweep.plan\n"
        "from oodbench.results import open_database, pairs\n"
        f"print(len(pairs(open_database({str(path)!r}, create=True))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])
def test_every_table_and_view_compiles(dialect: Dialect) -> None:
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
    for name in VIEWS:
        assert "CREATE VIEW" in view_sql(name, dialect)
    if dialect.name == "postgresql":
        assert "summary #>> '{last, id_val}'" in view_sql("v_pairs", dialect)
