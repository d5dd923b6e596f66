"""The learning curve of one run, which a browser asks for when it shows the run."""

from typing import Any

import pandas as pd

from ..report.charts import numbers
from ..runs.learning_curves import points_of


def curve_of(checkpoints: pd.DataFrame) -> dict[str, Any]:
    """ID and OOD accuracy of one run at its ``steps``.

    Args:
        checkpoints: Its rows, as from ``oodbench.results.query.checkpoints``; none if it was never
            evaluated.

    Returns:
        ``steps``, ``id`` and ``ood``: lists of the same length, null where there is no score.
    """
    if checkpoints.empty:
        return {"steps": [], "id": [], "ood": []}
    points = points_of(checkpoints).sort_values("step")
    return {
        "steps": [int(step) for step in points["step"]],
        "id": numbers(points["id"]),
        "ood": numbers(points["ood"]),
    }
