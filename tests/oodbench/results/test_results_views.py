"""The stored views of other versions of oodbench, and what is asked in their presence."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import Server
from results_helpers import make_study, make_trial
from sqlalchemy import inspect

from oodbench.errors import DatabaseError
from oodbench.results import (
    Database,
    add_sweep,
    open_database,
    pairs,
    runs,
    sql,
    upgrade_database,
)
from oodbench.results.columns import MEASURED, columns_of_pairs, columns_of_runs, named
from oodbench.results.schema import REVISIONS
from oodbench.results.views import VIEWS, create_views, drop_views

Store = Callable[[str, str], None]
CURRENT = (REVISIONS[-1], REVISIONS[-1])
OURS = {
    "curves": ["run_id", "idx", "step", "environment", "split", "role", "metric", "value", "n"],
    "v_runs": named(columns_of_runs()),
    "v_pairs": named(columns_of_pairs()),
    "v_best": named(columns_of_pairs()),
}


def stored(db: Database, view: str = "v_pairs") -> list[str]:
    """What other programs see."""
    with db.read() as connection:
        return [column["name"] for column in inspect(connection).get_columns(view)]


@pytest.fixture
def store() -> Iterator[Store]:
    """Has another version's ``v_pairs`` in a database, with a run; it goes back to ours."""
    changed = []

    def put(target: str, columns: str) -> None:
        changed.append(target)
        with open_database(target) as db:
            add_sweep(db, "s", {}, [make_study([make_trial()])])
            with db.write() as connection:
                connection.exec_driver_sql("DROP VIEW v_pairs")
                connection.exec_driver_sql(f"CREATE VIEW v_pairs AS SELECT {columns} FROM runs")

    yield put
    for target in changed:
        upgrade_database(target)
        with open_database(target) as db, db.write() as connection:
            drop_views(connection)
            create_views(connection)


def test_other_programs_find_every_column(db: Database) -> None:
    assert {view: stored(db, view) for view in VIEWS} == OURS


def test_queries_have_every_number_measured_of_a_run(db: Database) -> None:
    for frame in (runs(db), pairs(db)):
        assert set(named(MEASURED)) <= set(frame.columns)
        assert set(frame[named(MEASURED, "number")].dtypes.map(str)) == {"float64"}
        assert set(frame[named(MEASURED, "count")].dtypes.map(str)) == {"Int64"}


def test_a_question_in_sql_sees_the_views_of_this_version(target: str, store: Store) -> None:
    store(target, "id AS run, id AS only_older")
    for read_only in (True, False):
        with open_database(target, read_only=read_only) as db:
            for _ in range(2):  # a connection is used again
                asked = sql(db, "SELECT run, gradient_evaluations FROM V_Pairs")
                assert asked["run"].tolist() == [make_trial().id]
            assert stored(db) == ["run", "only_older"], "reading changes nothing"
            assert sql(db, "SELECT count(*) AS n FROM runs")["n"].tolist() == [1]


def test_upgrading_renews_views_that_lack_a_column(target: str, store: Store) -> None:
    store(target, "id AS run")
    assert upgrade_database(target) == CURRENT
    with open_database(target) as db:
        assert stored(db) == OURS["v_pairs"]
        assert len(pairs(db)) == 1


def test_views_of_a_newer_version_stay(target: str, store: Store) -> None:
    names = (*OURS["v_pairs"][1:], "only_newer")
    columns = ", ".join(("id AS run", *(f'NULL AS "{name}"' for name in names)))
    store(target, columns)
    upgrade_database(target)
    with open_database(target, create=True) as db:
        assert "only_newer" in stored(db)
        assert sql(db, "SELECT run FROM v_pairs")["run"].tolist() == [make_trial().id]


def test_a_sqlite_file_that_a_sweep_is_added_to_gets_them_too(sqlite: str, store: Store) -> None:
    store(sqlite, "id AS run")
    question = "SELECT gradient_evaluations FROM v_pairs"
    with closing(sqlite3.connect(sqlite)) as program:
        with open_database(sqlite), pytest.raises(sqlite3.OperationalError, match="no such column"):
            program.execute(question)
        with open_database(sqlite, create=True):
            assert program.execute(question).fetchall() == [(None,)]


def test_an_older_schema_is_not_upgraded_unasked(target: str, store: Store) -> None:
    store(target, "id AS run")
    setting = "UPDATE oodbench_version SET version_num = '{}'"
    with open_database(target) as db:
        with db.write() as connection:
            connection.exec_driver_sql(setting.format("0004"))
        with pytest.raises(DatabaseError, match="oodbench db upgrade"):
            open_database(target, create=True)
        with db.write() as connection:  # as its tables are
            connection.exec_driver_sql(setting.format(REVISIONS[-1]))


def test_on_a_server_adding_a_sweep_leaves_views_alone(postgresql: str, store: Store) -> None:
    store(postgresql, "id AS run")
    with open_database(postgresql, create=True) as db:
        assert stored(db) == ["run"]


def test_without_the_right_to_temporary_views_the_stored_ones_answer(
    server: Server, empty_postgresql: str
) -> None:
    store_to = open_database(empty_postgresql, create=True)
    add_sweep(store_to, "s", {}, [make_study([make_trial()])])
    name = empty_postgresql.rpartition("/")[2]
    with store_to, store_to.write() as connection:
        connection.exec_driver_sql("DROP VIEW v_pairs")
        connection.exec_driver_sql("CREATE VIEW v_pairs AS SELECT id AS run FROM runs")
        connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        connection.exec_driver_sql("CREATE ROLE only_reads LOGIN")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads")
    try:
        with open_database(server.url(name, "only_reads"), read_only=True) as db:
            assert sql(db, "SELECT run FROM v_pairs")["run"].tolist() == [make_trial().id]
    finally:
        with open_database(empty_postgresql) as db, db.write() as connection:
            connection.exec_driver_sql("DROP OWNED BY only_reads")
            connection.exec_driver_sql("DROP ROLE only_reads")


def test_a_read_only_file_in_a_read_only_folder_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    open_database(folder / "runs.db", create=True).close()
    (folder / "runs.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        with open_database(folder / "runs.db", read_only=True) as db:
            assert sql(db, "SELECT gradient_evaluations FROM v_best").empty
    finally:
        folder.chmod(0o755)
