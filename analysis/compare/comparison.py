"""How optimizers are compared: the settings that every comparison takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..runs.resampling import Resampling
from ..runs.searches import Searches, searches
from ..stats.best_of import RESAMPLES
from ..stats.testing import MARGIN

Unit = Literal["trials", "gradient_evaluations", "seconds"]
UNITS = ("trials", "gradient_evaluations", "seconds")


class Settings(TypedDict, total=False):
    """Keyword arguments of a comparison, besides rule and predictions: see ``Comparison``."""

    budget: float | None
    unit: Unit
    margin: float
    dataset: str | None
    algorithm: str | None
    resamples: int
    seed: int


@dataclass(frozen=True)
class Comparison:
    """What a comparison of optimizers rests on, beside the runs.

    Attributes:
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        budget: Budget of each optimizer, in ``unit``. Default: fixed in advance, 8 trials where the
            smallest search has four times as many; see ``analysis.compare.budgets``.
        unit: ``trials``; or ``gradient_evaluations`` or ``seconds`` of training: the number of
            trials of an optimizer is then what the budget pays for, at the mean of its trials.
        margin: Accuracies closer than this are called no different; fractions.
        dataset: Only this one.
        algorithm: Only this one.
        predictions: What the runs predicted (``oodbench.predictions``): with them, intervals cover
            the examples that the runs were scored on.
        resamples: Resamples of the bootstrap, at least 2.
        seed: Decides the resamples.

    Raises:
        UnknownNameError: No such unit.
        RequestError: Fewer than 2 resamples.
    """

    rule: str = "id_val"
    budget: float | None = None
    unit: Unit = "trials"
    margin: float = MARGIN
    dataset: str | None = None
    algorithm: str | None = None
    predictions: Sequence[Predictions] = field(default=(), repr=False)
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("unit", self.unit, UNITS)
        if self.resamples < 2:
            raise RequestError(
                f"An interval rests on the spread of at least 2 resamples, not {self.resamples!r}; "
                f"the default is {RESAMPLES}."
            )

    @classmethod
    def of(
        cls, rule: str, predictions: Sequence[Predictions], settings: Mapping[str, Any]
    ) -> "Comparison":
        """The record of a call's arguments.

        Raises:
            UnknownNameError: No such setting, or no such unit.
        """
        known = [field.name for field in fields(cls) if field.name != "predictions"]
        for name in settings:
            check_name("setting", name, known)
        return cls(rule, predictions=predictions, **settings)

    def searches(self, pairs: pd.DataFrame) -> tuple[Searches, ...]:
        """The searches that are compared: see ``analysis.runs.searches.searches``."""
        return searches(pairs, self.rule, self.dataset, self.algorithm)

    def resampling(self, pairs: pd.DataFrame) -> Resampling:
        """The joint weights of draws and examples, for all of these runs."""
        return Resampling(pairs, self.predictions, self.resamples, self.seed)
