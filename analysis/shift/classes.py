"""Measured shifts over several trials, and the class of shift that they mean."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Literal

import numpy as np
import pandas as pd

from oodbench.errors import RequestError

from .measure import VARIANTS, Shift

ShiftClass = Literal["correlation", "diversity", "none", "unclear"]

LEAST = 0.02
"""A smaller shift is none: two to three times what is measured where there is none."""


def shift_class(trials: Sequence[Shift]) -> ShiftClass:
    """The larger of the two shifts, in the variant ``plus``.

    ``none`` if the mean of neither reaches ``LEAST``; ``unclear`` if their difference varies
    between trials as much as it is large (its mean is within its standard deviation).

    Raises:
        RequestError: If there are no trials.
    """
    if not trials:
        raise RequestError("A class of shift needs at least 1 measured trial, but got 0.")
    diversity = np.array([trial.plus.diversity for trial in trials])
    correlation = np.array([trial.plus.correlation for trial in trials])
    if max(diversity.mean(), correlation.mean()) < LEAST:
        return "none"
    lead = correlation - diversity
    if len(trials) > 1 and abs(lead.mean()) <= lead.std(ddof=1):
        return "unclear"
    return "correlation" if lead.mean() > 0 else "diversity"


def shift_table(dataset: str, test_environments: str, trials: Sequence[Shift]) -> pd.DataFrame:
    """A row for each variant: means and standard deviations over the trials.

    Args:
        dataset: Name of the dataset.
        test_environments: Test environments as text, such as ``"2"``.
        trials: Measurements that differ in seed.

    Returns:
        ``dataset``, ``test_environments``, ``variant``, ``diversity``, ``correlation`` and, for
        both, ``_std`` over trials (missing for one trial), ``_iid`` (measured where there is no
        shift) and ``_share`` of the points that counted; ``shift``, the class; ``n`` examples a
        side, the fewest of the trials, ``trials`` and ``skipped``: labels without a density in
        some trial.

    Raises:
        RequestError: If there are no trials.
    """
    kind = shift_class(trials)
    skipped = sorted({label for trial in trials for label in trial.skipped})
    rows = []
    for variant in VARIANTS:
        row: dict[str, object] = {"variant": variant}
        for name in ("diversity", "correlation"):
            parts = (f"{variant}.{name}", f"iid_{variant}.{name}", f"{name}_share")
            values, iid, share = ([*map(attrgetter(part), trials)] for part in parts)
            row[name] = float(np.mean(values))
            row[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
            row[f"{name}_iid"] = float(np.mean(iid))
            row[f"{name}_share"] = float(np.mean(share))
        rows.append(row)
    table = pd.DataFrame(rows).assign(
        shift=kind,
        n=min(trial.n for trial in trials),
        trials=len(trials),
        skipped=",".join(map(str, skipped)),
    )
    table.insert(0, "test_environments", test_environments)
    table.insert(0, "dataset", dataset)
    return table
