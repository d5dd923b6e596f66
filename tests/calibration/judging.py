"""Tables of differences beside the truth: false verdicts, coverage, what is decided."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.stats.testing import LEVEL, MARGIN

from .rates import COVERAGE, FALSE, Outcomes

HALF_WIDTH = "half-width, points"
BIAS = "bias, points"
DECIDED = "decided"


def judged(table: pd.DataFrame, truth: Mapping[str, float]) -> Outcomes:
    """What a table says of the units at hand.

    A study has a false verdict if any of its rows calls higher or lower what is not, or no
    different what differs by more than the margin.

    Args:
        table: Rows that compare ``a`` with ``b``.
        truth: Expected score of each, by name.
    """
    true = (table["a"].map(truth) - table["b"].map(truth)).to_numpy()
    verdict = table["verdict"].to_numpy()
    false = (
        ((verdict == "higher") & (true <= 0))
        | ((verdict == "lower") & (true >= 0))
        | ((verdict == "no difference") & (np.abs(true) > MARGIN))
    )
    return {
        FALSE: float(false.any()),
        COVERAGE: _covered(table["low"], table["high"], true),
        HALF_WIDTH: float(50 * (table["high"] - table["low"]).mean()),
        BIAS: float(100 * (table["difference"] - true).mean()),
        DECIDED: float(np.isin(verdict, ["higher", "lower"]).mean()),
    }


def judged_widely(table: pd.DataFrame, truth: Mapping[str, float]) -> Outcomes:
    """What it says of all that those units are a sample of."""
    true = (table["a"].map(truth) - table["b"].map(truth)).to_numpy()
    decided = (table["population_p_holm"] < LEVEL).to_numpy()
    low, high = table["population_low"], table["population_high"]
    return {
        FALSE: float((decided & (np.sign(table["difference"]) != np.sign(true))).any()),
        COVERAGE: _covered(low, high, true),
        HALF_WIDTH: float(50 * (high - low).mean()),
        BIAS: float(100 * (table["difference"] - true).mean()),
        DECIDED: float(decided.mean()),
    }


def _covered(low: "pd.Series[float]", high: "pd.Series[float]", true: np.ndarray) -> float:
    """The share of the intervals that hold the truth, of those that there are."""
    known = low.notna().to_numpy()
    inside = ((low <= true) & (true <= high)).to_numpy()
    return float(inside[known].mean()) if known.any() else np.nan
