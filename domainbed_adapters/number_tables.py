"""Your own tables of numbers and categories, a row an example, and mistakes in them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.number_columns import NumberColumn, column_of, too_many
from domainbed_adapters.table_files import (
    ITEMS,
    check_columns,
    check_named,
    find,
    is_near,
    table_of,
)
from domainbed_adapters.table_reading import NAME, check_fields, header, readable, without_index
from domainbed_adapters.table_values import Reading
from domainbed_adapters.tables import Table
from oodbench.data.columns import Columns
from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("label", "environment", "split")
"""Columns that are never features."""
MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"]
"""What stands in a cell without a value."""


@dataclass(frozen=True, eq=False)
class NumberTable:
    """A table whose examples are numbers.

    Attributes:
        table: Its labels, splits and environments.
        values: (n, d) as ``oodbench.data.columns.Columns`` says.
        columns: What they are.
        names: What the codes of each column's categories mean; none of a column of numbers.
        content: Hash of all this.
    """

    table: Table
    values: NDArray[np.float64]
    columns: Columns
    names: tuple[tuple[str, ...], ...]
    content: str


def has_numbers(file: Any, features: Any) -> bool:
    """Whether the examples of a file are numbers: it has no texts or images, or names features."""
    return features is not None or not {*ITEMS} & {*header(find(file))}


def read_numbers(options: Mapping[str, Any]) -> NumberTable:
    """The table of numbers that the options name, checked.

    Args:
        options: Options of the dataset. ``features``: names of columns; None: all that are left.
            ``categorical``: names of those that are categories although they look like numbers.

    Raises:
        RequestError: If the file cannot be read, or lacks a column or a value.
        UnknownNameError: If it lacks a column that an option names.
    """
    path = find(options["file"])
    chosen, categorical = check_columns_of(options)
    changed = path.stat().st_mtime_ns, path.stat().st_size
    return _read(path, chosen, categorical, Reading.of(NAME, options), *changed)


def check_columns_of(options: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """What ``features`` and ``categorical`` name, if they are lists of columns.

    Raises:
        RequestError: If they are not, or name one twice.
    """
    features = options["features"]
    chosen = None if features is None else _names("features", features)
    return chosen, _names("categorical", options["categorical"])


def _names(option: str, given: Any) -> tuple[str, ...]:
    """The names of columns that an option lists."""
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise RequestError(f"{NAME}: {option} must be a list of columns, not {given!r}.")
    if option == "features" and not given:
        raise RequestError(f"{NAME}: features is an empty list; name columns, or leave it out.")
    twice = [name for name in given if list(given).count(name) > 1]
    if twice:
        raise RequestError(f"{NAME}: {option} has {twice[0]!r} twice; name it once.")
    return tuple(given)


@lru_cache(maxsize=2)
def _read(
    path: Path,
    features: tuple[str, ...] | None,
    categorical: tuple[str, ...],
    reading: Reading,
    *changed: int,
) -> NumberTable:
    there, where = header(path), f"{NAME}: {path}"
    check_columns(path, there, [name for name in there if name not in KEYS][:1])
    check_named(reading, there, where)
    chosen = _chosen(path, there, features, categorical)
    keys = [name for name in there if name in (*KEYS, *reading.groups)]
    twice = [name for name in (*keys, *chosen) if there.count(name) > 1]
    if twice:
        raise RequestError(f"{where} has the column {twice[0]} twice; remove one.")
    frame = _frame(path, keys, chosen, categorical)
    texts = frame[keys].astype(str).mask(frame[keys].isna(), "")
    table = table_of(NAME, path, texts, reading)
    if features is None:
        _check_no_items(path, there, frame[list(chosen)])
    found = list(_columns(path, frame, chosen, categorical))
    del frame
    by_column = np.stack([column.values for column in found])
    columns = Columns(
        chosen,
        tuple(len(column.names) for column in found),
        tuple(bool(np.isnan(column.values).any()) for column in found),
    )
    names = tuple(column.names for column in found)
    digest = hashlib.sha256(repr((columns, names)).encode())
    digest.update(by_column.data)
    return NumberTable(table, by_column.T, columns, names, digest.hexdigest())


def _chosen(
    path: Path,
    there: Sequence[str],
    features: tuple[str, ...] | None,
    categorical: tuple[str, ...],
) -> tuple[str, ...]:
    """The columns that are features, each of which is there and says nothing else."""
    left = tuple(name for name in there if name not in KEYS)
    wrong = [name for name in features or () if name in KEYS]
    if wrong:
        raise RequestError(
            f"{NAME}: features has {wrong[0]}, which no model may see: label is what it predicts, "
            "environment and split are where an example belongs. Leave it out."
        )
    for name in features or ():
        if name not in there:
            raise UnknownNameError("column", name, left, where=f"{NAME}: {path}, features")
    chosen = left if features is None else features
    if "" in chosen:
        raise RequestError(
            f"{NAME}: {path} has a column without a name, such as the row numbers that pandas "
            "writes. Save it with index=False, or name the features."
        )
    for name in categorical:
        if name not in chosen:
            raise UnknownNameError("feature", name, chosen, where=f"{NAME}: {path}, categorical")
    return chosen


def _frame(
    path: Path, keys: Sequence[str], chosen: Sequence[str], categorical: Sequence[str]
) -> "pd.DataFrame":
    """The file with these columns and others: keys and categorical ones as texts, other features
    as pandas reads them."""
    import pandas as pd

    wanted = list(dict.fromkeys([*keys, *chosen]))
    with readable(NAME, path):
        if path.suffix.lower() == ".parquet":
            return without_index(pd.read_parquet(path, columns=wanted))
        as_numbers = {*chosen} - {*categorical}
        # All columns: a row with a field too many is an error then, and else its values move.
        frame = pd.read_csv(
            path,
            dtype={name: str for name in header(path) if name not in as_numbers},
            keep_default_na=False,
            na_values=dict.fromkeys(chosen, MISSING),
            low_memory=False,
        )
        check_fields(NAME, path, frame)
        return frame


def _columns(
    path: Path, frame: "pd.DataFrame", chosen: Sequence[str], categorical: Sequence[str]
) -> Iterator[NumberColumn]:
    for name in chosen:
        where = f"{NAME}: {path}, column {name}"
        yield column_of(where, name, frame.pop(name), name in categorical)


def _check_no_items(path: Path, there: Sequence[str], left: "pd.DataFrame") -> None:
    """Raise RequestError if a column with too many values may be texts or images."""
    import pandas as pd

    for name in left.select_dtypes(exclude=["number", "bool"]).columns:
        near = any(is_near(name, item) for item in ITEMS)
        if not near or not too_many(left[name].nunique(), len(left)):
            continue
        if pd.to_numeric(left[name], errors="coerce").isna().all():
            check_columns(path, list(there), [])
