"""Every example of a dataset has a number, and of two that are not the same no two have one."""

from dataclasses import replace

import numpy as np

from oodbench.data import Dataset, Environment, Rows, Split
from oodbench.training.inputs.tensors import part_of


def arrays(first: float = 0.0) -> Dataset:
    """As of a plug-in that says nothing of its examples."""
    inputs = np.arange(12, dtype=np.float32)[:, None] + first
    parts = {"train": slice(0, 2), "val": slice(2, 4), "test": slice(4, 6)}
    environments = tuple(
        Environment(
            name,
            {part: Split(inputs[i * 6 :][rows], np.zeros(2, int)) for part, rows in parts.items()},
        )
        for i, name in enumerate("ab")
    )
    return Dataset("Plugin", environments, 2)


def test_examples_without_numbers_are_numbered_as_they_come() -> None:
    data = arrays().numbered
    for environment in data.environments:
        for split in environment.splits.values():
            assert split.numbers is not None
            assert split.numbers.tolist() == split.inputs[:, 0].tolist()
    both = part_of(data.environments[1], "train+test")
    assert both.numbers is not None
    assert both.numbers.tolist() == [6, 7, 10, 11]
    assert [list(e.splits) for e in data.environments] == [["train", "val", "test"]] * 2
    assert data.fingerprint == arrays().fingerprint
    assert data.source != arrays(first=1.0).numbered.source  # other examples of the same name


def test_rows_of_what_is_stored_are_numbers_already() -> None:
    stored, rows = np.zeros((9, 1), np.float32), np.array([7, 3])
    splits = {"train": Split(Rows(stored, rows), np.zeros(2, int))}
    data = Dataset("Files", (Environment("a", splits),), 2, content="c0ffee")
    assert data.numbered.environments[0].splits["train"].numbers is rows
    other = replace(data, environments=(replace(data.environments[0], splits={}),))
    assert data.numbered.source == other.numbered.source  # whatever is chosen of them
    assert replace(data, source="PACS").numbered.source == "PACS"
