"""Rows of the database as pandas DataFrames."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import Result

PIECE = 10_000
"""Rows that are Python objects at one time; as columns they take a fraction of the memory."""


def frame_of(
    result: "Result[Any]", numbers: Iterable[str] = (), counts: Iterable[str] = ()
) -> pd.DataFrame:
    """All rows of ``result``; ``numbers`` are floats, ``counts`` whole numbers that may be null."""
    names = list(result.keys())
    kinds = dict.fromkeys(numbers, "float64") | dict.fromkeys(counts, "Int64")

    def piece(rows: Iterable[Any]) -> pd.DataFrame:
        return pd.DataFrame.from_records([*map(tuple, rows)], columns=names).astype(kinds)

    pieces = [piece(rows) for rows in result.partitions(PIECE)] or [piece([])]
    return pd.concat(pieces, ignore_index=True).infer_objects()


def spread(frame: pd.DataFrame, column: str = "hparams") -> pd.DataFrame:
    """``frame`` with the dictionaries of ``column`` as columns of their own, at the end.

    A name that the frame has already gets the prefix ``hparam_``.
    """
    rest = frame.drop(columns=column)
    values = pd.DataFrame.from_records(list(frame[column]), index=frame.index)
    names = {name: f"hparam_{name}" for name in values.columns if name in rest.columns}
    return pd.concat([rest, values.rename(columns=names)], axis=1)
