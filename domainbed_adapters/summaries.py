"""What your own files hold, in lines of text: ``oodbench datasets NAME --check``."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_listing import shown
from domainbed_adapters.image_tree import some
from domainbed_adapters.tables import Table


def told_classes(names: Sequence[str]) -> str:
    """How many there are, and which."""
    return f"  {len(names)} classes: {some(names)}"


def told_environments(counts: Mapping[str, int]) -> list[str]:
    """A line for each environment, in order: its index, its name and how many examples it has."""
    lines = [f"    {i} = {name}: {n}" for i, (name, n) in enumerate(counts.items())]
    return [f"  {len(counts)} environments (index for test_environments = name: examples):", *lines]


def told_alone(table: Table) -> list[str]:
    """Which classes are of one environment alone, so that it cannot be the only one tested on."""
    label, place = table.columns["label"], table.columns["environment"]
    pairs = np.unique(np.stack([label.codes, place.codes], axis=1), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(label.names))
    return [
        f"  {label.names[code]} is a class of {place.names[where]} alone: that cannot be a test "
        "environment."
        for code, where in pairs.tolist()
        if counts[code] == 1
    ]


def told_splits(table: Table) -> list[str]:
    """A line for each split of a table: how many rows it has of each environment."""
    column = table.columns["environment"]
    lines = []
    for split, rows in table.splits.items():
        counts = np.bincount(column.codes[rows], minlength=len(column.names))
        each = [f"{column.names[code]}: {counts[code]}" for code in np.flatnonzero(counts)]
        lines.append(f"    {split}: {len(rows)} ({some(each)})")
    return ["  rows of each split, and of each environment in it:", *lines]


def told_skipped(files: Sequence[str], digests: NDArray[np.uint8]) -> list[str]:
    """How many files are no images, of their (n, 32) hashes, which are zeros then."""
    skipped = [shown(files[row]) for row in np.flatnonzero(~digests.any(axis=1)).tolist()]
    return [f"  skipped: {len(skipped)} that are no images ({some(skipped, 5)})"] if skipped else []


def lacking(table: Table) -> list[str]:
    """What cannot be done for want of a split."""
    lines = []
    if "id_val" not in table.splits:
        lines.append("  There is no id_val: runs cannot be selected by the rule id_val.")
    if "ood_test" not in table.splits:
        worst = "id_test" in table.splits
        instead = "OOD is the worst group of id_test" if worst else "there is no OOD accuracy"
        lines.append(f"  There is no ood_test: {instead}.")
    return lines
