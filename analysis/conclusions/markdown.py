"""Text and tables in Markdown."""

import re
from collections.abc import Sequence


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~&])", r"\\\1", " ".join(text.split()))


def markdown_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = True
) -> str:
    """A table: between the first and the last column, ``numbers`` stand to the right."""
    middle = "--:" if numbers else ":--"
    aligned = [":--", *[middle] * (len(heads) - 2), ":--"]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(aligned)}|", *lines[1:]])
