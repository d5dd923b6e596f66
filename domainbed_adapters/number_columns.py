"""One column of numbers or of categories, as a file has it."""

from dataclasses import dataclass
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
        name: Of the column.
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
        return _categories(where, name, read)
    if texts.any():
        row = int(texts.to_numpy().argmax())
        raise RequestError(
            f"{where}: row {row + 1} has {read.iloc[row]!r}, where {numbers.notna().sum():,} of "
            f"{len(read):,} rows have numbers ({texts.sum():,} have texts). Mend it, or leave the "
            f"cell empty where there is no value; or, if these are categories, add categorical: "
            f"[{name}]."
        )
    return _numbers(where, numbers)


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
            f"rows. Leave {name} out (features: [...] names the others), or write fewer."
        )
    return NumberColumn(np.where(codes < 0, np.nan, codes), tuple(map(str, known)))
