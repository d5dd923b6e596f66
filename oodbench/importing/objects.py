"""Cells that hold an object, such as a run's configuration, as columns of their own."""

import ast
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from oodbench.importing.sheet import Sheet, storable

NOT_FINITE = {"nan": math.nan, "inf": math.inf}
"""Names in what Python writes of a dictionary that are no literals."""

WRAPPED = {"value", "desc"}
"""What W&B writes in place of a value in a file of a configuration."""


def with_objects(sheet: Sheet) -> Sheet:
    """The table with a column ``COLUMN.KEY`` for each value of the objects in its cells.

    An object is one in JSON, or a dictionary as Python writes it. Objects in objects are unfolded
    as well; keys that begin with an underscore are the tracker's own and left out. Of the cell
    itself nothing is left.
    """
    found = {
        (line, place): values
        for line, cells in sheet.rows.items()
        for place, cell in enumerate(cells)
        if cell[:1] == "{" and (values := _values(cell))
    }
    if not found:
        return sheet
    keys: dict[int, dict[str, None]] = {}
    for (_, place), values in found.items():
        keys.setdefault(place, {}).update(dict.fromkeys(values))
    added = [(place, key) for place, mine in keys.items() for key in mine]
    rows = {
        line: (
            *("" if (line, place) in found else cell for place, cell in enumerate(cells)),
            *(found.get((line, place), {}).get(key, "") for place, key in added),
        )
        for line, cells in sheet.rows.items()
    }
    objects: dict[str, dict[str, int]] = {sheet.columns[place]: {} for place in keys}
    for at, (place, key) in enumerate(added, start=len(sheet.columns)):
        objects[sheet.columns[place]][key] = at
    names = [f"{sheet.columns[place]}.{key}" for place, key in added]
    return replace(sheet, columns=(*sheet.columns, *names), rows=rows, objects=objects)


def _values(cell: str) -> dict[str, str]:
    """The values of an object by their keys; empty if the cell holds none."""
    try:
        value = _parsed(cell)
        return dict(_flat(value, "")) if isinstance(value, Mapping) else {}
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return {}


def _parsed(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return ast.literal_eval(_NotFinite().visit(ast.parse(cell, mode="eval")))


class _NotFinite(ast.NodeTransformer):
    """Numbers for the names that stand where Python writes one that is not finite."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """``nan`` and ``inf``; other names are left, and are no literals."""
        return ast.Constant(NOT_FINITE[node.id]) if node.id in NOT_FINITE else node


def _flat(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if str(key).startswith("_"):
            continue
        if isinstance(item, Mapping) and "value" in item and set(item) <= WRAPPED:
            item = item["value"]
        if isinstance(item, Mapping):
            yield from _flat(item, f"{before}{key}.")
        else:
            yield f"{before}{key}", _text(item)


def _text(value: Any) -> str:
    """The text that a cell of a table would have; empty for null."""
    if value is None:
        return ""
    text = value.strip() if isinstance(value, str) else json.dumps(value, default=str)
    return storable(text)
