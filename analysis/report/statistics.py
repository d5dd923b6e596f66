"""What the report says that takes long to compute: verdicts, return curves, budget curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results.predictions import Predictions

from ..compare.comparison import Unit
from ..compare.expected_best import expected_best
from ..compare.health import search_health
from ..compare.levels import expected_by_class
from ..compare.optimizers import compare_to
from ..conclusions.conclude import Conclusions, conclude
from ..conclusions.optimizer_table import optimizer_table
from ..curves.return_curves import Key, return_curves
from ..curves.verdicts import ReturnCurve

T = TypeVar("T")


@dataclass(frozen=True)
class Statistics:
    """All that is said of the runs. Where a part cannot be said, its reason stands in its place.

    Attributes:
        rule: How runs are selected.
        selected: ``optimizer_table``.
        searches: ``search_health``.
        levels: ``expected_by_class``, or why not (such as an adaptive search alone).
        conclusions: ``conclude``, or why not (such as a single optimizer).
        against: ``compare_to`` the mean of the others, or why not.
        curves: ``return_curves``.
        budget: ``expected_best``, or why not (such as an adaptive search alone).
    """

    rule: str
    selected: pd.DataFrame
    searches: pd.DataFrame
    levels: pd.DataFrame | str
    conclusions: Conclusions | str
    against: pd.DataFrame | str
    curves: Mapping[Key, ReturnCurve]
    budget: pd.DataFrame | str


def compute(
    pairs: pd.DataFrame,
    rule: str,
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
    on_step: Callable[[str], None] = lambda what: None,
) -> Statistics:
    """Compute them; see ``analysis.report_html`` for arguments and errors."""
    on_step("selecting runs")
    selected = optimizer_table(pairs, rule)
    on_step("judging statements")
    options: dict[str, Any] = {
        "budget": budget,
        "unit": unit,
        "predictions": predictions,
        "seed": seed,
    }
    if budget is None:
        found = _or_reason(lambda: conclude(pairs, rule, **options))
    else:  # a budget that these runs do not allow was asked for, and is refused
        found = conclude(pairs, rule, **options)
    if isinstance(found, str):
        on_step("fitting return curves")
        curves = return_curves(pairs, predictions=predictions, seed=seed)
        searches = search_health(pairs, rule)
    else:
        curves, searches = dict(found.curves), found.health
    on_step("computing budget curves")
    levels = _or_reason(lambda: expected_by_class(pairs, rule, **options))
    against = _or_reason(lambda: compare_to(pairs, None, rule, **options))
    bought = _or_reason(lambda: expected_best(pairs, rule, predictions=predictions, seed=seed))
    return Statistics(rule, selected, searches, levels, found, against, curves, bought)


def _or_reason(compute: Callable[[], T]) -> T | str:
    """What is computed, or why these runs do not allow it: the report is of the rest, and says."""
    try:
        return compute()
    except UnknownNameError:  # a mistake in the request, not in the runs
        raise
    except RequestError as error:
        return str(error)
