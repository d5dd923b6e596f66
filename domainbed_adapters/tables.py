"""Datasets whose examples are rows of a table: an image or a text, a label, metadata, a split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data import Dataset, Environment, Published, Rows, Split, Stored
from oodbench.errors import RequestError, UnknownNameError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Column:
    """A metadata field.

    Attributes:
        codes: (n,) integers from 0 on; -1: no value.
        names: What each code means.
    """

    codes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[Any] | NDArray[Any]) -> "Column":
        """The column with these (n,) values, whose codes are in the order of the values."""
        known, codes = np.unique(np.asarray(values), return_inverse=True)
        return cls(codes.astype(np.int64), tuple(str(value) for value in known))


@dataclass(frozen=True, eq=False)
class Table:
    """The examples of a dataset, as yet without pixels or numbers.

    Attributes:
        name: Name of the dataset.
        root: What paths of images are relative to.
        items: n paths of images, or texts.
        labels: (n,) integers from 0 to num_classes - 1.
        splits: What the authors call a split -> the rows that it has.
        columns: Field -> its values.
        num_classes: Size of the label set.
    """

    name: str
    root: Path
    items: tuple[str, ...]
    labels: Ints
    splits: Mapping[str, Ints]
    columns: Mapping[str, Column]
    num_classes: int

    def only(self, names: Sequence[str]) -> "Table":
        """The table with the rows of these splits alone, in their order.

        Raises:
            RequestError: If one of the splits has no examples.
        """
        for name in names:
            if not len(self.splits.get(name, ())):
                raise RequestError(
                    f"{self.name}: its split {name} has no examples: a file in {self.root} is cut "
                    "short, or of another release. Get it again."
                )
        kept = np.unique(np.concatenate([self.splits[name] for name in names]))
        columns = {f: Column(c.codes[kept], c.names) for f, c in self.columns.items()}
        return replace(
            self,
            items=tuple(self.items[row] for row in kept),
            labels=self.labels[kept],
            splits={name: np.searchsorted(kept, self.splits[name]) for name in names},
            columns=columns,
        )

    def only_rows(self, rows: Ints) -> "Table":
        """The table whose splits have these rows alone."""
        splits = {name: mine[np.isin(mine, rows)] for name, mine in self.splits.items()}
        return replace(self, splits=splits)

    def split(self, inputs: Stored, rows: Ints) -> Split:
        """Some of the examples, of which ``inputs`` is (n, ...) what a model takes of each."""
        return Split(Rows(inputs, rows), self.labels[rows])

    def combined(self, fields: Sequence[str]) -> Column:
        """Each combination of values of several fields as one value.

        Raises:
            UnknownNameError: If there is no such field.
        """
        for field in fields:
            if field not in self.columns:
                raise UnknownNameError("metadata field", field, self.columns, where=self.name)
        if len(fields) == 1:
            return self.columns[fields[0]]
        parts = [self.columns[field] for field in fields]
        codes = np.stack([part.codes for part in parts], axis=1)
        known, combined = np.unique(codes, axis=0, return_inverse=True)
        names = tuple(
            ", ".join(
                f"{field}: {part.names[code]}"
                for field, part, code in zip(fields, parts, row, strict=True)
            )
            for row in known.tolist()
        )
        return Column(combined.reshape(-1).astype(np.int64), names)


@dataclass(frozen=True)
class Grouping:
    """How a dataset's examples are divided when it is scored.

    Attributes:
        fields: The groups are the combinations of their values; none: there are no groups.
        ignored: Names of groups that do not count.
        each_with: Of each of ``fields`` apart, the examples with the value 1 are divided by this
            field, so that groups overlap.
        metrics: See ``oodbench.data.Dataset``.
    """

    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    each_with: str = ""
    metrics: tuple[str, ...] = ()

    def of(self, table: Table) -> Column:
        """(n, m) groups of each example, and their names."""
        if not self.fields:
            return Column(np.empty((len(table.labels), 0), np.int64), ())
        if self.each_with:
            return self._overlapping(table)
        column = table.combined(self.fields)
        ignored = [code for code, name in enumerate(column.names) if name in self.ignored]
        codes = np.where(np.isin(column.codes, ignored), -1, column.codes)
        return Column(codes[:, None], column.names)

    def _overlapping(self, table: Table) -> Column:
        other = table.columns[self.each_with]
        names = tuple(f"{f}: 1, {self.each_with}: {n}" for f in self.fields for n in other.names)
        codes = []
        for i, field in enumerate(self.fields):
            column = table.columns[field]
            inside = np.array([name == "1" for name in column.names])[column.codes]
            codes.append(np.where(inside, i * len(other.names) + other.codes, -1))
        return Column(np.stack(codes, axis=1), names)


def environments_of(table: Table, fields: Sequence[str]) -> dict[str, Ints]:
    """The training examples of each environment: each combination of values that occurs there.

    Args:
        table: Its split ``train`` is divided.
        fields: None: all of it is one environment.
    """
    train = table.splits["train"]
    if not fields:
        return {"train": train}
    column = table.combined(fields)
    codes = column.codes[train]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    parts = np.split(train[order], starts[1:])
    return {column.names[code]: rows for code, rows in zip(found, parts, strict=True)}


def assemble(
    table: Table,
    inputs: Stored,
    content: str,
    fields: Sequence[str],
    roles: Mapping[str, str],
    grouping: Grouping,
    worst: Mapping[str, str],
) -> Dataset:
    """The dataset of a table.

    Args:
        table: Examples of the dataset.
        inputs: (n, ...) what a model takes of each.
        content: Hash of what decides the inputs.
        fields: Whose values make the environments.
        roles: Split -> role; ``train`` apart.
        grouping: How it is scored.
        worst: Split -> the role of its worst group, under subpopulation shift.
    """
    groups = grouping.of(table)
    environments = tuple(
        Environment(name, {"train": table.split(inputs, rows)})
        for name, rows in environments_of(table, fields).items()
    )
    published = tuple(
        Published(name, role, table.split(inputs, rows), groups.codes[rows], worst.get(name, ""))
        for name, role in roles.items()
        for rows in [table.splits[name]]
    )
    return Dataset(
        table.name,
        environments,
        table.num_classes,
        content=content,
        published=published,
        groups=groups.names,
        metrics=grouping.metrics,
        source=table.name,
    )


def check_labels(table: Table) -> None:
    """Raise RequestError unless every label is one of the classes."""
    wrong = np.flatnonzero((table.labels < 0) | (table.labels >= table.num_classes))
    if len(wrong):
        raise RequestError(
            f"{table.name}: {len(wrong)} of {len(table.labels)} labels are not between 0 and "
            f"{table.num_classes - 1}, first {table.labels[wrong[0]]} of {table.items[wrong[0]]!r}."
        )
