"""What pydantic finds wrong with a sweep file, in words that its author knows."""

from typing import Any

TOLD = {
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
    elif kind in TOLD:
        message = f"{TOLD[kind].format(**context)}, but got {detail['input']!r}"
    else:
        message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
