"""What the report says that takes long to compute: verdicts, return curves, budget curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results.predictions import Predictions

from ..compare.comparison import Comparison, Unit
from ..compare.estimation import Estimation
from ..compare.expected_best import budget_tables
from ..compare.health import search_health
from ..compare.levels import levels_table
from ..compare.optimizers import others_table
from ..conclusions.conclude import Conclusions, conclude
from ..conclusions.optimizer_table import optimizer_table
from ..curves.return_curves import Key, return_curves
from ..curves.verdicts import ReturnCurve
from ..runs.environments import Environments, side_name, tables_named

T = TypeVar("T")

BANDS = 100
"""Resamples behind the bands of budget curves."""


@dataclass(frozen=True)
class Statistics:
    """All statistics of the runs. Where a part cannot be computed, its reason takes its place.

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

    def named(self, environments: Environments) -> "Statistics":
        """The statistics with the names of test environments in place of indices."""
        shown: Statistics = tables_named(self, environments)
        found = self.conclusions
        curves = {
            (dataset, side_name(tested, environments.get(dataset, ())), *rest): curve
            for (dataset, tested, *rest), curve in self.curves.items()
        }
        return replace(
            shown,
            conclusions=found if isinstance(found, str) else tables_named(found, environments),
            curves=curves,
        )


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
    known: dict[str, Any] = {"predictions": predictions, "seed": seed}
    options = {"budget": budget, "unit": unit, **known}
    if budget is None:
        found = _or_reason(lambda: conclude(pairs, rule, **options))
    else:  # a budget that these runs do not allow was asked for, and is refused
        found = conclude(pairs, rule, **options)
    shared = None if isinstance(found, str) else found.estimation

    def estimation() -> Estimation:
        return shared or Estimation.of(pairs, Comparison(rule, budget, unit, **known))

    if isinstance(found, str):
        on_step("fitting return curves")
        curves = return_curves(pairs, predictions=predictions, seed=seed)
        searches = search_health(pairs, rule)
    else:
        curves, searches = dict(found.curves), found.health
    on_step("computing budget curves")
    levels = _or_reason(lambda: levels_table(estimation(), pairs))
    against = _or_reason(lambda: others_table(estimation()))
    bought = _or_reason(lambda: _budget_curves(estimation()))
    return Statistics(rule, selected, searches, levels, found, against, curves, bought)


def _budget_curves(estimation: Estimation) -> pd.DataFrame:
    """``expected_best``; what it takes to draw bands is less than what a verdict takes."""
    return budget_tables(estimation.searches, estimation.resampling.first(BANDS))


def _or_reason(compute: Callable[[], T]) -> T | str:
    """What is computed, or why these runs do not allow it: the report is of the rest, and says."""
    try:
        return compute()
    except UnknownNameError:  # a mistake in the request, not in the runs
        raise
    except RequestError as error:
        return str(error)
