"""One column of numbers or of categories, as a file has it."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

MOST = 1000
"""Categories of a column: each is a number that every model takes."""
FEW = 20
"""Categories that a column may have whatever the number of rows."""
WRITTEN = re.compile(
    r"\s*[-+\u2212]?\s?[$\u20ac\u00a3\u00a5]?\s?"
    r"(\d{1,3}([.,'\u2019_\s]\d{3})+|\d+)([.,]\d+)?"
    r"\s?[%\u2030$\u20ac\u00a3\u00a5]?\s*"
)
"""A number as people write it: 1,200 and 1.200,5 and 3,5 and 40% and $5, in digits of any
script."""


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """The values of a column.

    Attributes:
        values: (n,) numbers, or the codes of categories; NaN: none.
        names: What the codes mean; of numbers none.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...] = ()


def too_many(categories: int, rows: int) -> bool:
    """Whether a column has too many values to be one of categories."""
    return categories > MOST or categories > max(FEW, rows / 2)


def column_of(where: str, name: str, read: "pd.Series[Any]", categorical: bool) -> NumberColumn:
    """The column that was read: of numbers if all its values are, of categories if none is.

    Args:
        where: Dataset, file and column, for messages.
        name: Name of the column.
        read: (n,) as pandas reads it.
        categorical: Its values are categories, whatever they look like.

    Raises:
        RequestError: If it has no values, numbers and texts, a number that is not finite, what is
            neither number nor text, or too many categories.
    """
    import pandas as pd
    from pandas.api import types

    if types.is_bool_dtype(read.dtype) or isinstance(read.dtype, pd.CategoricalDtype):
        read, categorical = read.astype(object), True
    numeric = types.is_numeric_dtype(read.dtype)
    if not numeric and (exact := _exact(read)) is not None:
        read, numeric = exact, True
    if not numeric:
        read = _texts(where, read)
    if read.isna().all():
        raise RequestError(
            f"{where}: no row has a value. Leave it out: features: [...] names the others."
        )
    if categorical:
        return _categories(where, name, read)
    if numeric:
        return _numbers(where, read)
    numbers = pd.to_numeric(read, errors="coerce").astype(float)
    texts = read.notna() & numbers.isna()
    if texts.sum() == read.notna().sum():
        _check_no_numbers(where, name, read)
        return _categories(where, name, read)
    if texts.any():
        row = int(texts.to_numpy().argmax())
        raise RequestError(
            f"{where}: row {row + 1} has {read.iloc[row]!r}, where {numbers.notna().sum():,} of "
            f"{len(read):,} rows have numbers ({texts.sum():,} have texts). Fix it, or leave the "
            f"cell empty where there is no value; or, if these are categories, add categorical: "
            f"[{name}]."
        )
    return _numbers(where, numbers)


def _exact(read: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """A column of decimals, or of whole numbers beyond 64 bits, in floats; None: it is neither."""
    from pandas.api import types

    kinds = read.dropna().map(type).unique() if types.is_object_dtype(read.dtype) else ()
    if len(kinds) and {*kinds} <= {int, float, Decimal}:
        return read.astype(float)
    return None


def _check_no_numbers(where: str, name: str, read: "pd.Series[Any]") -> None:
    """Raise RequestError if all texts are numbers as people write them: their order would go."""
    known = read.dropna().unique()
    if all(WRITTEN.fullmatch(text) for text in known):
        row = int(read.notna().to_numpy().argmax())
        raise RequestError(
            f"{where}: row {row + 1} has {read.iloc[row]!r}, and all its values look like numbers "
            "that are written in another way. Write them plainly, such as -1200.5; or, if these "
            f"are categories, add categorical: [{name}]."
        )


def _texts(where: str, read: "pd.Series[Any]") -> "pd.Series[Any]":
    """The column as texts; cells of spaces have no value."""
    from pandas.api import types

    wrong = None
    if types.is_string_dtype(read.dtype) and not types.is_object_dtype(read.dtype):
        texts = read.astype(object)
    elif types.is_object_dtype(read.dtype):
        odd = read.notna() & ~read.map(lambda value: isinstance(value, str | bool))
        wrong = type(read[odd].iloc[0]).__name__ if odd.any() else None
        texts = read
    else:
        wrong, texts = str(read.dtype), read
    if wrong is not None:
        raise RequestError(
            f"{where}: its values are neither numbers nor texts, but {wrong}. Write numbers: of a "
            "date the days since a day, of a list a column for each of its numbers."
        )
    texts = texts.map(str, na_action="ignore")
    return texts.mask(texts.str.strip() == "")


def _numbers(where: str, read: "pd.Series[Any]") -> NumberColumn:
    values = read.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise RequestError(
            f"{where}: row {row + 1} has {values[row]} ({infinite.sum():,} such rows). Write a "
            "finite number, or leave the cell empty where there is no value."
        )
    return NumberColumn(values)


def _categories(where: str, name: str, read: "pd.Series[Any]") -> NumberColumn:
    import pandas as pd

    codes, known = pd.factorize(read.map(str, na_action="ignore"), sort=True)
    if too_many(len(known), len(read)):
        raise RequestError(
            f"{where}: {len(known):,} different values in {len(read):,} rows, such as "
            f"{str(known[0])[:40]!r}; categories are at most {MOST:,}, and at most one for two "
            f"rows. Leave {name} out (features: [...] names the others), or write fewer; of a "
            "date, write the days since a day."
        )
    return NumberColumn(np.where(codes < 0, np.nan, codes), tuple(map(str, known)))
