"""Optimizers compared by class of shift: correlation shift apart from diversity shift."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from oodbench.errors import check_name
from oodbench.results.predictions import Predictions

from ..runs.panels import Panel
from ..runs.searches import Searches
from .comparison import Comparison, Settings
from .estimation import Estimation
from .tasks import CONTESTS, By, rows_over
from .verdicts import with_verdicts

UNKNOWN = ""
"""The class of a dataset that declares none, or whose measurement is not clear."""

COLUMNS = ("shift", "names", "chance", "algorithm", "a", "b", "score", "datasets", "tasks")
"""Columns of a table without rows."""


def classes_of(pairs: pd.DataFrame) -> "pd.Series[str]":
    """The class of shift of each run's dataset; ``UNKNOWN`` where it is not known."""
    shift = pairs.get("shift", pd.Series(UNKNOWN, index=pairs.index))
    return shift.astype(object).fillna(UNKNOWN).astype(str)


def compare_by_class(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    *,
    by: By = "optimizer",
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """``compare_across`` over the datasets of each class of shift, one class after the other.

    A dataset whose shift is not known is of no class and stands alone. So does each of several
    targets of a dataset, unless its authors report their mean: that is the dataset's then. Datasets
    without trials
    (``trials_of``) are left out, such as those without the score that the rule reads; ``names``
    says which are in. So are, of a class and algorithm, optimizers without trials on some dataset:
    a mean over other datasets would not compare them.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` is the class.
        rule, predictions, by, settings: See ``analysis.compare_across``.

    Returns:
        Its rows, and before them ``shift`` (the class; empty where unknown), ``names`` (of the
        datasets) and ``chance`` (mean chance accuracy over the datasets, where known). A class and
        algorithm without two optimizers (or both kinds) on all of its datasets has no rows.

    Raises:
        RequestError: As there, if it is so of every class.
        UnknownNameError: As there.
    """
    check_name("comparison", by, tuple(CONTESTS))
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    return classes_table(estimation, shifts_of(pairs), by)


def shifts_of(pairs: pd.DataFrame) -> dict[str, str]:
    """Dataset -> the class of its shift; ``UNKNOWN`` where it is not known."""
    return dict(zip(pairs["dataset"].astype(str), classes_of(pairs), strict=True))


def classes_table(estimation: Estimation, shifts: Mapping[str, str], by: By) -> pd.DataFrame:
    """``compare_by_class`` of what is estimated already."""
    rows = [
        {**head, **row}
        for head, found, members in by_class(estimation, shifts)
        for row in rows_over(estimation, found, members, by)
    ]
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    return with_verdicts(pd.DataFrame(rows), ["score"], estimation.comparison.margin)


def by_class(
    estimation: Estimation, shifts: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], list[Searches], list[str]]]:
    """The panels of each class of shift and algorithm, and the optimizers that all of them have.

    Yields:
        The columns ``shift``, ``names``, ``chance`` and ``algorithm``; panels; optimizers.
    """
    groups: dict[tuple[str, str, str], list[Searches]] = {}
    targets = places_of_targets([one.panel for one in estimation.searches])
    for one in estimation.searches:
        panel, shift = one.panel, shifts[one.panel.dataset]
        alone = targets.get(panel.key, panel.dataset if shift == UNKNOWN else "")
        if alone is not None:
            groups.setdefault((shift, panel.algorithm, alone), []).append(one)
    for (shift, algorithm, _), found in groups.items():
        places = [targets.get(one.panel.key) or one.panel.dataset for one in found]
        names = list(dict.fromkeys(places))
        chances = {one.panel.dataset: one.panel.chance for one in found}
        known = [chance for chance in chances.values() if chance is not None]
        head = {
            "shift": shift,
            "names": ", ".join(names),
            "chance": float(np.mean(known)) if known else np.nan,
            "algorithm": algorithm,
        }
        members = [
            name for name in found[0].optimizers if all(name in one.optimizers for one in found)
        ]
        yield head, found, members


def places_of_targets(panels: Sequence[Panel]) -> dict[tuple[str, str, str], str | None]:
    """What each of several targets of a dataset is called, where it stands alone.

    Returns:
        Key of its panel -> such as ``CIFAR10, fog-5``; None where the panel of the targets' mean
        stands for it.
    """
    found: dict[tuple[str, str, str], str | None] = {}
    for dataset, algorithm in {(one.dataset, one.algorithm) for one in panels}:
        mine = [one for one in panels if (one.dataset, one.algorithm) == (dataset, algorithm)]
        targets = [one for one in mine if one.target]
        mean = [one for one in mine if not one.target and "," in one.test_environments]
        for one in targets if len(targets) > 1 else ():
            found[one.key] = None if mean else f"{dataset}, {one.target}"
    return found
