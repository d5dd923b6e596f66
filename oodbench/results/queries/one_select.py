"""Which SQL a PostgreSQL server is given: one SELECT or VALUES, without functions that act.

A read-only transaction keeps tables as they are, but not files, programs and other sessions, which
``COPY ... TO PROGRAM`` or ``pg_terminate_backend`` reach. SQLite has no such statements.
"""

import re

from oodbench.errors import QueryError

ACTING = re.compile(
    r"pg_.*|lo_.*|loread|lowrite|dblink.*|.*_to_xml.*|set_config|nextval|setval|txid_.*"
)
"""Functions that read files, run text as SQL, or change settings, sequences and other sessions."""
SECRET = re.compile(r"pg_(authid|shadow|user_mappings?|largeobject|subscription|.*file.*)")
"""Tables of the server's that have passwords, or what is in files."""
HARMLESS = {"pg_typeof", "pg_column_size", "pg_size_pretty"}


def check_one_select(text: str) -> None:
    """Raise QueryError unless ``text`` is one statement that only reads tables.

    What the parser does not understand is refused as well.
    """
    import sqlglot
    from sqlglot import expressions as sql
    from sqlglot.errors import SqlglotError

    try:
        statements = [tree for tree in sqlglot.parse(text, read="postgres") if tree is not None]
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise _refused(f"it cannot be read as SQL: {first}") from None
    if len(statements) != 1:
        raise _refused(f"there are {len(statements)}")
    (tree,) = statements
    if not isinstance(tree, sql.Query | sql.Values):
        raise _refused(f"this is a {tree.key.upper()}")
    for part in tree.find_all(sql.DML, sql.Into, sql.Lock, sql.Command):
        raise _refused(f"there is {'an' if part.key[0] in 'aeiou' else 'a'} {part.key.upper()}")
    for table in tree.find_all(sql.Table):
        if SECRET.fullmatch(table.name.lower()):
            raise _refused(f"the table {table.name} has passwords or files in it")
    for function in tree.find_all(sql.Anonymous):
        name = function.name.lower()
        if name not in HARMLESS and (ACTING.fullmatch(name) or not name.isidentifier()):
            raise _refused(f"the function {name} may do more than read tables")


def _refused(why: str) -> QueryError:
    return QueryError(
        f"oodbench refused the statement: {why}. Only one statement that reads is allowed, such as "
        "SELECT * FROM v_best."
    )
