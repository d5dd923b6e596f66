"""Columns of numbers and of categories, and what a model takes in their place.

Numbers are standardised: less their mean, divided by their deviation. Each category has a column
of 0 and 1. A column with missing values has another one of 0 and 1, which is 1 where the value is
missing; the value itself is then the mean, or no category. The mean, the deviation and which
categories there are come from the rows that are given to ``Standardised.of``: a trial's training
examples. A column that is constant there is 0 everywhere: no model can have learned what it means.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FARTHEST = 1e6
"""Standard deviations from the mean: a value that is farther is taken as being there, so that all
are finite in float32."""
ROWS = 16_384
"""Spread at a time."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are, before they become what a model takes.

    A table is an (n, d) array of float64, in which NaN is a missing value and a category is its
    number, from 0 on.

    Attributes:
        names: d names.
        categories: How many categories each column has; 0: it has numbers.
        gaps: Whether values are missing in each.
    """

    names: tuple[str, ...]
    categories: tuple[int, ...]
    gaps: tuple[bool, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers a model takes for each column."""
        return tuple(
            (count or 1) + gap for count, gap in zip(self.categories, self.gaps, strict=True)
        )

    @property
    def width(self) -> int:
        """How many numbers a model takes of a row: the same whatever is trained on."""
        return sum(self.sizes)

    def spread(self, table: Floats) -> NDArray[np.float64]:
        """(n, width): categories and gaps as columns of 0 and 1; a missing number is NaN."""
        result = np.zeros((len(table), self.width))
        start = 0
        for column, (count, gap) in enumerate(zip(self.categories, self.gaps, strict=True)):
            values = table[:, column]
            missing = np.isnan(values)
            if count:
                rows = np.flatnonzero(~missing)
                result[rows, start + values[rows].astype(np.int64)] = 1
            else:
                result[:, start] = values
            start += count or 1
            if gap:
                result[:, start] = missing
                start += 1
        return result

    @property
    def numeric(self) -> NDArray[np.bool_]:
        """(width,) which of a model's numbers are standardised; the others are 0 or 1."""
        return np.concatenate(
            [
                [not count, *[False] * (size - 1)]
                for count, size in zip(self.categories, self.sizes, strict=True)
            ]
        ).astype(bool)


@dataclass(frozen=True)
class Standardised:
    """What a model takes of the rows of a table.

    Attributes:
        columns: Columns of the table.
        unit: (width,) what each number is divided by first, so that its square is finite.
        mean, deviation: (width,) of the numbers in that unit; 0 and 1 of what stays 0 or 1.
        varies: (width,) which are not constant in the rows that these are of.
    """

    columns: Columns
    unit: Floats
    mean: Floats
    deviation: Floats
    varies: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Columns, parts: Sequence[Any]) -> "Standardised":
        """Standardise with the means, deviations and categories of all parts, (n, d) each."""

        def pieces() -> Iterator[Floats]:
            return (columns.spread(table) for part in parts for table in _pieces(part))

        low, high = np.full(columns.width, np.inf), np.full(columns.width, -np.inf)
        count = np.zeros(columns.width)
        for piece in pieces():
            known = ~np.isnan(piece)
            count += known.sum(axis=0)
            low = np.minimum(low, np.where(known, piece, np.inf).min(axis=0))
            high = np.maximum(high, np.where(known, piece, -np.inf).max(axis=0))
        varies = low < high
        plain = ~(columns.numeric & varies)
        unit = np.where(plain, 1.0, np.maximum(np.abs(low), np.abs(high)))
        mean = sum((np.nansum(piece / unit, axis=0) for piece in pieces()), np.zeros(columns.width))
        mean = np.where(plain, 0.0, mean / np.maximum(count, 1))
        squares = sum(
            (np.nansum((piece / unit - mean) ** 2, axis=0) for piece in pieces()),
            np.zeros(columns.width),
        )
        deviation = np.where(plain, 1.0, np.sqrt(squares / np.maximum(count, 1)))
        return cls(columns, unit, mean, deviation, varies)

    def __call__(self, table: Any) -> NDArray[np.float32]:
        """(n, width) of an (n, d) table, or of what is read like one."""
        result = np.empty((len(table), self.columns.width), np.float32)
        for start, piece in zip(range(0, len(table), ROWS), _pieces(table), strict=True):
            with np.errstate(over="ignore"):  # what is too far is brought nearer
                found = (self.columns.spread(piece) / self.unit - self.mean) / self.deviation
            found[np.isnan(found) | ~self.varies] = 0
            result[start : start + ROWS] = found.clip(-FARTHEST, FARTHEST)
        return result


def _pieces(table: Any) -> Iterator[Floats]:
    """Some rows at a time: categories need many more numbers once each has its column."""
    return (np.asarray(table[start : start + ROWS]) for start in range(0, len(table), ROWS))
