"""Hyperparameters inside their JSON column, as SQL that means the same on both databases."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from oodbench.results.schema import runs

NUMBER, TEXT, BOOLEAN = "number", "text", "boolean"


class hparam_kind(FunctionElement[str]):  # noqa: N801 - written like the SQL function that it is
    """``number``, ``text`` or ``boolean``; null if the column has no such hyperparameter."""

    type = Text()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        path = f'$."{name}"'.replace("'", "''")
        super().__init__(column, literal_column(f"'{path}'"), column[name])


class by_code_point(FunctionElement[str]):  # noqa: N801
    """A text that is ordered as Python and SQLite order it, whatever PostgreSQL's locale."""

    type = Text()
    inherit_cache = True


def hparam_value(column: ColumnElement[Any], name: str, kind: str) -> ColumnElement[Any]:
    """The hyperparameter's value; null where it is missing or of another kind.

    Without that, SQLite would compare a text with a number, and PostgreSQL would fail.
    """
    item = column[name]
    value = {NUMBER: item.as_float, TEXT: item.as_string, BOOLEAN: item.as_boolean}[kind]()
    return case((hparam_kind(column, name) == kind, value))


class NamesOfRuns(Collection[str]):
    """Every name that some run has. To list them reads every run; to look for one, few.

    Args:
        connection: Which is asked.
        has: The condition that a run has a name.
        names: A select of the name or names of each run.
    """

    def __init__(
        self,
        connection: Connection,
        has: Callable[[str], ColumnElement[bool]],
        names: Select[Any],
    ) -> None:
        self.connection, self._has, self._names = connection, has, names

    def __contains__(self, name: object) -> bool:
        having = exists().where(self._has(str(name)))
        return bool(self.connection.scalar(select(having)))

    def __iter__(self) -> Iterator[str]:
        return iter(set(self.connection.scalars(self._names.distinct())))

    def __len__(self) -> int:
        return len(set(self))


def hparam_names(connection: Connection) -> NamesOfRuns:
    """The names of all hyperparameters."""
    hparams = runs.c.hparams
    if connection.dialect.name == "postgresql":
        key: ColumnElement[Any] = func.json_object_keys(hparams)
        names = select(key)
    else:
        keys = func.json_each(hparams).table_valued("key", joins_implicitly=True)
        names = select(keys.c.key).select_from(runs, keys)
    return NamesOfRuns(connection, lambda name: hparam_kind(hparams, name).is_not(None), names)


@compiles(hparam_kind, "sqlite")
def _kind_sqlite(element: hparam_kind, compiler: SQLCompiler, **kw: Any) -> str:
    column, path, _ = element.clauses
    kind = func.json_type(column, path)
    kinds = {"integer": NUMBER, "real": NUMBER, "text": TEXT, "true": BOOLEAN, "false": BOOLEAN}
    return compiler.process(case(kinds, value=kind), **kw)


@compiles(hparam_kind, "postgresql")
def _kind_postgresql(element: hparam_kind, compiler: SQLCompiler, **kw: Any) -> str:
    _, _, item = element.clauses
    kind = func.json_typeof(item)
    kinds = {"number": NUMBER, "string": TEXT, "boolean": BOOLEAN}
    return compiler.process(case(kinds, value=kind), **kw)


@compiles(by_code_point, "sqlite")
def _text_sqlite(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(by_code_point, "postgresql")
def _text_postgresql(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)} COLLATE "C")'
