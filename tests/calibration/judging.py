"""Tables of comparisons beside the truth: false verdicts, coverage, power."""

import inspect
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from .rates import Outcomes
from .scored import Study

MARGIN = 0.01


def call(function: Callable, study: Study, *arguments, **settings) -> pd.DataFrame:
    """What a public function says of a study."""
    if "predictions" in inspect.signature(function).parameters:
        settings["predictions"] = study.predictions
    return function(study.pairs, *arguments, **settings)


def judged(table: pd.DataFrame, truth: Mapping[str, float]) -> Outcomes:
    """Outcomes of the OOD rows of a table of differences.

    Args:
        table: As from ``analysis.compare_optimizers``.
        truth: Expected score of each side, by name.
    """
    rows = table[table["score"] == "ood"] if "score" in table.columns else table
    true = (rows["a"].map(truth) - rows["b"].map(truth)).to_numpy()
    verdict = rows["verdict"].to_numpy()
    false = (
        ((verdict == "higher") & (true <= 0))
        | ((verdict == "lower") & (true >= 0))
        | ((verdict == "no difference") & (np.abs(true) > MARGIN))
    )
    known = rows["low"].notna().to_numpy()
    covered = (rows["low"] <= true) & (true <= rows["high"])
    return {
        "false verdicts": float(false.any()),
        "coverage": float(covered[known].mean()) if known.any() else np.nan,
        "half-width, points": float(50 * (rows["high"] - rows["low"]).mean()),
        "bias, points": float(100 * (rows["difference"] - true).mean()),
        "decided": float(np.isin(verdict, ["higher", "lower"]).mean()),
        "no difference": float((verdict == "no difference").mean()),
    }
