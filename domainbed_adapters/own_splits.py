"""Your own table as a dataset: with the splits that it has, or with ours."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_folders import split_parts
from domainbed_adapters.summaries import (
    lacking,
    told_alone,
    told_classes,
    told_environments,
    told_splits,
)
from domainbed_adapters.tables import Grouping, Ints, Table, assemble, environments_of
from oodbench.data import Dataset, DatasetSpec, Environment, Stored
from oodbench.errors import RequestError

Parts = Mapping[str, Mapping[str, Ints]]
"""Environment -> ``train``, ``val`` and ``test`` -> rows."""


def is_published(table: Table) -> bool:
    """Whether the file says which example is in which split."""
    return set(table.splits) != {"train"}


def worst_of(table: Table) -> dict[str, str]:
    """Without an example out of distribution, the worst group stands for it."""
    return {} if "ood_test" in table.splits else {"id_test": "ood_test"}


def resolved(spec: DatasetSpec, table: Table) -> DatasetSpec:
    """The dataset with the environments and classes of a table."""
    published = is_published(table)
    return replace(
        spec,
        environments=tuple(environments_of(table, ("environment",))),
        num_classes=table.num_classes,
        published=published,
        shift="subpopulation" if published and worst_of(table) else "",
    )


def summary_lines(table: Table) -> list[str]:
    """The table's classes, the rows of each split and environment, and what it lacks."""
    classes = told_classes(table.columns["label"].names)
    if is_published(table):
        return [classes, *told_splits(table), *lacking(table)]
    counts = {name: len(rows) for name, rows in environments_of(table, ("environment",)).items()}
    return [classes, *told_environments(counts), *told_alone(table)]


def held_out(name: str, table: Table, holdout: float, data_seed: int) -> Parts:
    """Our splits of each environment; none if the table has its own.

    Args:
        name: Name of the dataset; also names its random streams.
        table: Rows of the dataset.
        holdout: The share of an environment's rows that is its validation part, and of as many its
            test part.
        data_seed: Seed of the splits.
    """
    if is_published(table):
        return {}
    return {
        environment: split_parts(rows, holdout, name, data_seed, environment)
        for environment, rows in environments_of(table, ("environment",)).items()
    }


def training_rows(table: Table, parts: Parts) -> NDArray[np.int64]:
    """The rows that may be trained on, in order."""
    if not parts:
        return table.splits["train"]
    return np.sort(np.concatenate([mine["train"] for mine in parts.values()]))


def as_dataset(
    name: str,
    table: Table,
    inputs: Stored,
    content: str,
    parts: Parts,
    groups: tuple[str, ...] = ("environment",),
) -> Dataset:
    """The dataset of a table.

    Args:
        name: Name of the dataset.
        table: Rows of the dataset.
        inputs: (n, ...) what a model takes of each, or what becomes that.
        content: Hash of what decides the inputs.
        parts: See ``held_out``.
        groups: The columns that make the groups of its own splits.

    Raises:
        RequestError: If a part of an environment has lost every example with its images.
    """
    classes = table.columns["label"].names
    if not parts:
        roles = {role: role for role in table.splits if role != "train"}
        grouping, worst = Grouping(groups), worst_of(table)
        made = assemble(table, inputs, content, ("environment",), roles, grouping, worst)
        return replace(made, name=name, classes=classes)
    there = table.splits["train"]
    environments = []
    for environment, mine in parts.items():
        kept = {part: rows[np.isin(rows, there)] for part, rows in mine.items()}
        if empty := [part for part, rows in kept.items() if not len(rows)]:
            raise RequestError(
                f"{table.name}: no image of {environment}, {empty[0]} can be read; fix them, or "
                "leave that environment out."
            )
        splits = {part: table.split(inputs, rows) for part, rows in kept.items()}
        environments.append(Environment(environment, splits))
    return Dataset(name, tuple(environments), table.num_classes, content=content, classes=classes)
