"""The targets of a run in a table of runs: a column each, or a row each.

``oodbench.results.query.pairs`` has one row a run, with the columns ``ood[NAME]``, ``n_ood[NAME]``
and ``targets``. Analysis asks of every target for itself: there each run has a row for each.
"""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

TARGETS = "targets"
"""Column of a table of runs: JSON of each target's name -> the test environments, as text, of the
rows that ``by_target`` makes for it. The mean over targets, where it is meant, has no name."""
TARGET = "target"
"""Column that ``by_target`` adds: the target's name; missing for a row that is of none."""
MEAN = ""
FEW = 4
"""Targets that are all named where there is little room."""

OOD, N_OOD = "ood[{}]", "n_ood[{}]"
_COLUMN = re.compile(r"(?:n_)?ood\[.*\]", re.DOTALL)


def are_of_targets(names: Iterable[object]) -> list[str]:
    """The columns that hold the score of one target, or its number of examples."""
    return [name for name in names if isinstance(name, str) and _COLUMN.fullmatch(name)]


def cell_of(
    targets: Iterable[int],
    test_environments: Iterable[int],
    environments: Iterable[str],
    mean: bool,
) -> str:
    """What the column ``TARGETS`` says of a run.

    Args:
        targets: Indices of those that it is tested on.
        test_environments: All that it names; those that are no targets go with each.
        environments: Names of all environments of the dataset.
        mean: Whether the mean over several targets is meant.
    """
    every, names = list(targets), list(environments)
    others = [i for i in test_environments if i not in every]

    def text(some: list[int]) -> str:
        return ",".join(map(str, sorted([*others, *some])))

    found = {names[i]: text([i]) for i in every}
    return json.dumps({**found, **({MEAN: text(every)} if mean and len(every) > 1 else {})})


def names_of(text: str) -> list[str]:
    """The names of the targets that a cell of the column ``TARGETS`` lists, in their order."""
    return [name for name in json.loads(text) if name != MEAN]


def listed(names: Iterable[str]) -> str:
    """Targets for a reader: all of a few, else the first ones and how many there are."""
    every = list(names)
    first = every if len(every) <= FEW else [*every[: FEW - 1], f"... ({len(every)} in all)"]
    return ", ".join(first)


def has_mean(text: str) -> bool:
    """Whether ``ood`` of a run is the score of its only target, or a mean that is meant."""
    return MEAN in json.loads(text) or len(names_of(text)) == 1


def by_target(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table of runs with a row for each target of each run; the rows of other runs stay.

    ``ood``, ``ood_test`` and their numbers of examples are those on the target, ``target`` is its
    name and ``test_environments`` its index. All rows of a run have its id, and are of one draw.
    Where the mean over targets is meant, it has a row as well, with the indices of all.

    Args:
        table: The result of ``pairs`` or ``checkpoints`` of ``oodbench.results.query``. One without
            targets is given back.
    """
    import pandas as pd

    if TARGETS not in table.columns:
        return table
    plain = table.drop(columns=[TARGETS, *are_of_targets(table.columns)])
    columns = {"ood": OOD, "ood_test": OOD, "n_ood": N_OOD, "n_ood_test": N_OOD}
    parts = [plain[table[TARGETS].isna()].assign(**{TARGET: None})]
    for text, rows in table.groupby(TARGETS, sort=False):
        tests = json.loads(str(text))
        for name, tested in tests.items():
            part = plain.loc[rows.index].assign(test_environments=tested, **{TARGET: name or None})
            for column, of in columns.items() if name != MEAN else ():
                if column in plain.columns:
                    own = rows[of.format(name)]
                    # A run from before there were targets has the score of its only one, too.
                    part[column] = own.fillna(rows[column]) if len(tests) == 1 else own
            parts.append(part)
    found = pd.concat([part for part in parts if len(part)] or parts)
    return found.sort_values(
        "dataset" if "dataset" in found else "run",
        key=lambda names: pd.Series(pd.factorize(names)[0], names.index),
        kind="stable",
        ignore_index=True,
    )
