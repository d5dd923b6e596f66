"""What pydantic finds wrong with a sweep file, in words that its author knows."""

import math
from collections.abc import Iterator
from typing import Any

MEANINGS = {
    "int_type": "needs a whole number",
    "int_from_float": "needs a whole number",
    "float_type": "needs a number",
    "finite_number": "needs a finite number",
    "greater_than": "needs more than {gt:g}",
    "less_than": "needs less than {lt:g}",
    "greater_than_equal": "needs at least {ge}",
    "less_than_equal": "needs at most {le:g}",
    "string_type": "needs text (a number or a date is text in quotes)",
    "string_pattern_mismatch": "needs letters, digits, '.', '_' and '-', no space or path",
    "invalid_key": "needs text as a key",
    "list_type": "needs a list",
    "dict_type": "needs keys and values",
    "too_short": "needs at least one entry",
    "literal_error": "needs {expected}",
}
"""What pydantic's kinds of errors mean to the author of a sweep file."""


def describe(detail: Any) -> str:
    """One pydantic error as one line: the place, what is allowed, what was given."""
    path = ".".join(str(part) for part in detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        message = "is missing; it has no default"
    elif kind in MEANINGS:
        message = f"{MEANINGS[kind].format(**context)}, but got {detail['input']!r}"
    else:
        message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def odd_numbers(values: Any, place: str = "") -> Iterator[str]:
    """Numbers that no run can be given, as lines like those of ``describe``.

    Args:
        values: What a sweep file contains.
        place: Where that is.
    """
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in items:
            yield from odd_numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, int) and not -(2**63) <= values < 2**63:
        yield f"{place}: needs a whole number of at most 64 bits, but got {shortened(values)}"
    elif isinstance(values, float) and not math.isfinite(values):
        yield f"{place}: needs a finite number, but got {values}"


def shortened(number: int) -> str:
    """A whole number, of a long one the size alone: Python writes no more than 4,300 digits."""
    return str(number) if abs(number) < 10**30 else f"one of {number.bit_length()} bits"
