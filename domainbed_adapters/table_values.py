"""Values of a table's columns: two spellings that may mean one, and the options that unite them.

A label that is spelt in two ways is two classes, and nothing fails: the loss and the accuracy are
just of another question. So such a pair is refused until the sweep file says what is meant.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

MENDING: dict[str, Any] = {"strip": False, "labels": None, "values": None}
"""Options of a table. ``strip``: remove the spaces around labels, environments and other values.
``labels``: spelling in the file -> label. ``values``: column -> spelling in the file -> value. One
that maps to itself is meant as it is, however alike another may be."""
NO_VALUE = ("nan", "<na>", "nat", "na", "n/a", "#n/a", "null")
"""How a missing value is written as text. ``none`` may be a name."""
Spellings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mending:
    """What the options say of the values of a file.

    Attributes:
        strip: See ``MENDING``.
        columns: Column -> its spellings, as pairs.
    """

    strip: bool = False
    columns: tuple[tuple[str, Spellings], ...] = ()

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any]) -> "Mending":
        """What the options of the dataset ``name`` say.

        Raises:
            RequestError: If they are not what they must be.
        """
        chosen = {key: options.get(key, default) for key, default in MENDING.items()}
        if type(chosen["strip"]) is not bool:
            raise RequestError(f"{name}: strip must be true or false, not {chosen['strip']!r}.")
        values = {} if chosen["values"] is None else chosen["values"]
        if not isinstance(values, Mapping):
            raise RequestError(
                f"{name}: values needs columns with their spellings, such as "
                f'{{environment: {{"B": "b"}}}}, not {values!r}.'
            )
        given = {**values, **({} if chosen["labels"] is None else {"label": chosen["labels"]})}
        if chosen["labels"] is not None and "label" in values:
            raise RequestError(f"{name}: both labels and values have spellings of label; keep one.")
        columns = tuple((column, _pairs(name, column, pairs)) for column, pairs in given.items())
        return cls(chosen["strip"], columns)

    def of_column(self, column: str) -> dict[str, str]:
        """Spelling in the file -> value, of one column."""
        return dict(dict(self.columns).get(column, ()))

    def mended(self, values: "pd.Series[str]", where: str) -> "pd.Series[str]":
        """The values of a column, as the options have them; two that are too alike are refused.

        Args:
            values: As the file has them; the name is the column's.
            where: The dataset and the file, for messages.

        Raises:
            RequestError: If two values differ in their spelling alone, or one is ``nan``.
            UnknownNameError: If a spelling is none of the file's.
        """
        column = str(values.name)
        if self.strip:
            values = values.str.strip()
        spellings, known = self.of_column(column), values.unique().tolist()
        for spelling in spellings:
            if spelling not in known:
                raise UnknownNameError(f"{column} to replace", spelling, known, where=where)
        changed = {old: new for old, new in spellings.items() if old != new}
        meant = {old for old, new in spellings.items() if old == new}
        if changed:
            values = values.replace(changed)
        _check(values, meant, where)
        return values


@dataclass(frozen=True)
class Reading:
    """What is read of a file beside its examples, labels, environments and splits, and how.

    Attributes:
        groups: The columns whose values make the groups.
        mending: What the options say of spellings.
    """

    groups: tuple[str, ...] = ("environment",)
    mending: Mending = field(default_factory=Mending)

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any]) -> "Reading":
        """What the options of the dataset ``name`` say.

        Raises:
            RequestError: If they are not what they must be.
        """
        groups = options.get("groups", "environment")
        if not isinstance(groups, str):
            raise RequestError(f"{name}: groups must be columns joined by +, not {groups!r}.")
        fields = tuple(part.strip() for part in groups.split("+") if part.strip())
        return cls(fields, Mending.of(name, options))

    @property
    def columns(self) -> list[str]:
        """The columns that are read from a table, whatever the examples are."""
        return list(dict.fromkeys(("label", "environment", *self.groups)))


def _pairs(name: str, column: str, spellings: Any) -> Spellings:
    right = isinstance(spellings, Mapping) and all(
        isinstance(text, str) and text for pair in spellings.items() for text in pair
    )
    if not right:
        what = "labels" if column == "label" else f"values of {column}"
        raise RequestError(
            f'{name}: {what} needs texts in quotes, such as {{"1.0": "1"}}, not {spellings!r}.'
        )
    return tuple(spellings.items())


def _check(values: "pd.Series[str]", meant: set[str], where: str) -> None:
    column = str(values.name)
    known = [value for value in values.unique().tolist() if value not in meant]
    for value in known:
        if value.strip().casefold() in NO_VALUE:
            raise RequestError(
                f"{where} has {column} = {value!r} in {_rows(values, value)}, which is how a "
                f"missing value is written; fill it in, or leave the rows out. If it is a name, "
                f"say so: {_option(column, value, value)}."
            )
    if alike := too_alike(known):
        one, other, how = alike
        rare, usual = sorted((one, other), key=lambda value: int((values == value).sum()))
        strip = "strip: true, or " if one.strip() == other.strip() else ""
        raise RequestError(
            f"{where} has {column} = {one!r} in {_rows(values, one)} and {other!r} in "
            f"{_rows(values, other)}, which differ {how}. If they are one, set {strip}"
            f"{_option(column, rare, usual)}; if they are two, {_option(column, rare, rare)}."
        )


def too_alike(names: list[str]) -> tuple[str, str, str] | None:
    """The first two names that differ in their spelling alone, and how; None: there are none."""
    seen: dict[tuple[str, str], str] = {}
    for name in names:
        for how, key in _keys(name):
            if (how, key) in seen:
                return seen[how, key], name, how
        seen |= dict.fromkeys(_keys(name), name)
    return None


def _keys(name: str) -> Iterator[tuple[str, str]]:
    """What two spellings of one thing have in common, and how they differ then."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if c.isprintable())
    spaced = " ".join(plain.split())
    yield "by spaces or invisible characters alone", spaced
    yield "by case alone", spaced.casefold()
    try:
        number = Decimal(spaced)
    except InvalidOperation:
        return
    if number.is_finite():
        yield "in how a number is written", str(number.normalize() + 0)  # and no -0


def _rows(values: "pd.Series[str]", value: str) -> str:
    rows = (values == value).to_numpy()
    return f"row {int(rows.argmax()) + 1} ({int(rows.sum())} in all)"


def _option(column: str, old: str, new: str) -> str:
    pair = f'{{"{old}": "{new}"}}'
    return f"labels: {pair}" if column == "label" else f"values: {{{column}: {pair}}}"
