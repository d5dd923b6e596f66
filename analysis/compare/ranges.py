"""Where the draws of a search lie in the ranges that they were drawn from."""

import numpy as np
import pandas as pd

from ..runs.columns import hyperparameters_of
from ..runs.slicing import fitting_scale
from ..stats.intervals import Array


def positions(runs: pd.DataFrame) -> pd.DataFrame:
    """Where each run's hyperparameters lie in the range of its optimizer's draws.

    A table of runs does not hold the ranges. Their scale is taken to be the one on which the draws
    are spread most evenly (``slicing.fitting_scale``), and their ends lie as far beyond the lowest
    and the highest of m different values as these are apart on average, which is unbiased for the
    ends of a uniform distribution. Choices of texts have no order and are left out.

    Args:
        runs: A row a run, of one panel; lost ones too, since they were drawn as the others were.

    Returns:
        The rows of ``runs``, and a column for each hyperparameter that some optimizer searched: 0
        at the low end and 1 at the high end; NaN where the run's optimizer has no such range.
    """
    numbers = [
        name
        for name in hyperparameters_of(runs)
        if pd.api.types.is_numeric_dtype(runs[name]) and not pd.api.types.is_bool_dtype(runs[name])
    ]
    values = runs[numbers].to_numpy(dtype=float, na_value=np.nan)
    places = np.full(values.shape, np.nan)
    for rows in runs.groupby("optimizer", sort=False).indices.values():
        for column in range(len(numbers)):
            places[rows, column] = _positions(values[rows, column])
    table = pd.DataFrame(places, index=runs.index, columns=numbers)
    return table.loc[:, table.notna().any()]


def _positions(values: Array) -> Array:
    """Positions of one optimizer's draws; all NaN where its runs have one value, or none."""
    result = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    numbers = values[known]
    if len(np.unique(numbers)) < 2:
        return result
    scale = fitting_scale(numbers)
    if scale == "log":
        numbers = np.log(numbers)
    elif scale == "one_minus_log":
        numbers = -np.log1p(-numbers)
    gap = np.ptp(numbers) / (len(np.unique(numbers)) - 1)
    result[known] = (numbers - numbers.min() + gap) / (np.ptp(numbers) + 2 * gap)
    return result
