"""Test environments by index and name, wherever a reader sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from oodbench.results.targets import listed

Environments = Mapping[str, Sequence[str]]
"""Dataset -> the names of its environments, by their index."""


def side_name(tested: str, names: Sequence[str]) -> str:
    """Test environments by index and name, such as ``0 (15\N{DEGREE SIGN}), 2``; of many a few."""
    known = {str(index): name for index, name in enumerate(names) if name != str(index)}
    if not known:
        return tested
    return listed(
        f"{part} ({known[part]})" if part in known else part for part in tested.split(",")
    )


def name_environments(table: pd.DataFrame, environments: Environments) -> pd.DataFrame:
    """The table, with the names of test environments beside their indices, for figures and readers.

    Args:
        table: Any; what lacks the columns dataset and test_environments stays as it is.
        environments: Environments of the datasets whose environments have names.
    """
    if not {"dataset", "test_environments"} <= set(table.columns):
        return table
    columns = (table[name].astype(str) for name in ("dataset", "test_environments"))
    pairs = [*zip(*columns, strict=True)]
    named = {pair: side_name(pair[1], environments.get(pair[0], ())) for pair in set(pairs)}
    names = [named[pair] for pair in pairs]
    return table.assign(test_environments=pd.Series(names, table.index))


def tables_named(record: Any, environments: Environments) -> Any:
    """A record, in all of whose tables test environments are named."""
    tables = {one.name: getattr(record, one.name) for one in fields(record) if one.init}
    return replace(
        record,
        **{
            name: name_environments(table, environments)
            for name, table in tables.items()
            if isinstance(table, pd.DataFrame)
        },
    )
