"""What the features of a table are, and what is odd: ``oodbench datasets Table --check``."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_tree import some
from domainbed_adapters.number_columns import FEW
from domainbed_adapters.number_tables import NumberTable
from domainbed_adapters.table_values import too_alike


def told_columns(numbers: NumberTable) -> list[str]:
    """What the columns are, in lines of text: ``oodbench datasets Table --check``."""
    columns = numbers.columns
    kinds = list(zip(columns.names, columns.categories, columns.gaps, strict=True))
    plain = [name for name, count, _ in kinds if not count]
    several = [f"{name} ({count})" for name, count, _ in kinds if count]
    lines = [f"  {len(kinds)} features, which a model takes as {columns.width} numbers:"]
    lines += [f"    numbers: {some(plain)}"] if plain else []
    lines += [f"    categories: {some(several)}"] if several else []
    gaps = [
        f"{name} ({np.isnan(numbers.values[:, i]).mean():.1%} of the rows)"
        for i, (name, _, gap) in enumerate(kinds)
        if gap
    ]
    lines += [f"    with missing values: {some(gaps)}"] if gaps else []
    labels = numbers.table.labels
    notes: dict[str, Callable[[NDArray[np.float64]], bool]] = {
        "constant, so that they say nothing": lambda values: bool((values == values[0]).all()),
        "a whole number of its own in each row, as identifiers have": _identify,
        "each value has one label, as copies of the label have": lambda v: _say(v, labels),
    }
    for note, holds in notes.items():
        names = [name for i, (name, *_) in enumerate(kinds) if holds(numbers.values[:, i])]
        lines += [f"    {note}: {some(names)}"] if names else []
    return lines + _alike(numbers) + _in_one_environment(numbers)


def _identify(values: NDArray[np.float64]) -> bool:
    """Whether no two rows have one number, and all are whole."""
    whole = len(values) > FEW and bool((values == np.floor(values)).all())
    return whole and len(np.unique(values)) == len(values)


def _say(values: NDArray[np.float64], labels: NDArray[np.int64]) -> bool:
    """Whether a value occurs with one label only, each of several that occur more than once."""
    import pandas as pd

    codes, known = pd.factorize(values, use_na_sentinel=False)
    if not 1 < len(known) <= len(values) / 2:
        return False
    first = np.zeros(len(known), np.int64)
    first[codes] = labels
    return bool((first[codes] == labels).all())


def _alike(numbers: NumberTable) -> list[str]:
    """Categories that may be one, in two spellings."""
    lines = []
    for name, known in zip(numbers.columns.names, numbers.names, strict=True):
        if alike := too_alike(list(known)):
            one, other, how = alike
            lines.append(f"    {name} has {one!r} and {other!r}, which differ {how}")
    return lines


def _in_one_environment(numbers: NumberTable) -> list[str]:
    """Categories that a model does not know which is tested on the only environment with them."""
    environment = numbers.table.columns["environment"]
    lines: list[str] = []
    if len(environment.names) == 1:
        return lines
    for i, (name, known) in enumerate(zip(numbers.columns.names, numbers.names, strict=True)):
        if not known:
            continue
        values = numbers.values[:, i]
        rows = np.flatnonzero(~np.isnan(values))
        counts = np.zeros((len(known), len(environment.names)), np.int64)
        np.add.at(counts, (values[rows].astype(np.int64), environment.codes[rows]), 1)
        for code in np.flatnonzero((counts > 0).sum(axis=1) == 1):
            where = environment.names[int(counts[code].argmax())]
            lines.append(f"    {name} = {known[code]} is in environment {where} alone")
    return lines if len(lines) <= 5 else [*lines[:5], f"    and {len(lines) - 5} more such"]
