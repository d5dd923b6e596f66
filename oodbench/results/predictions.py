"""The predictions that runs left: of every example that they were scored on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """What runs that were scored on one set of examples predicted, at their last checkpoint.

    Attributes:
        dataset: Its name.
        test_environments: Indices of those kept out of training, as in the table of pairs: ``0,1``.
        data_seed: Of the splits.
        source: Whose examples these are. Datasets of one source show the same examples, and call
            each by the same number: both ``ColoredDigits`` and ``RotatedDigits`` show ``digits``.
        runs: (N,) ids of the runs.
        examples: (M,) rows with the columns ``environment``, ``split``, ``role``, ``example`` (its
            number within the source), ``label``, and one column for each kind of group.
        predicted: (N, M) predicted classes; -1 where a run has none.
    """

    dataset: str
    test_environments: str
    data_seed: int
    source: str
    runs: tuple[str, ...]
    examples: pd.DataFrame
    predicted: NDArray[np.integer]
