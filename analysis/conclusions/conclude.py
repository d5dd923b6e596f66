"""What a results database says about optimizers out of distribution, as statements with verdicts.

The statements are those of Naganuma et al. (TMLR 2023), and what one would do about them. Each is
computed from the tables of this package; the verdicts are theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import check_name
from oodbench.results.predictions import Predictions
from oodbench.results.select import RUN_RULES, drawn, refusal

from ..compare.by_shift_class import COLUMNS as OF_CLASSES
from ..compare.by_shift_class import classes_of, classes_table, shifts_of
from ..compare.comparison import Comparison, Unit
from ..compare.estimation import Estimation
from ..compare.health import search_health
from ..compare.optimizers import kinds_table, pairs_table
from ..compare.power import power_sentences
from ..curves.fitting import Fit
from ..curves.id_ood_curves import clouds_of
from ..curves.matching import equal_id_table
from ..curves.on_the_line import accuracy_on_the_line
from ..curves.return_curves import Key, curves_of
from ..curves.robustness import effective_robustness
from ..curves.verdicts import ReturnCurve
from ..runs.columns import GROUP, require
from ..runs.environments import Environments
from ..runs.remarks import frozen_remark
from ..runs.trials import SCORES, trials_of, without_trials
from .claims import claims_of_classes, claims_of_kinds
from .curve_claims import (
    claims_at_equal_id,
    claims_of_lines,
    claims_of_returns,
    claims_of_robustness,
)
from .formats import conclusions_html
from .missing import more_columns
from .notes import notes_of
from .recommendation import Recommendation, recommend
from .text import conclusions_text

COLUMNS = (
    *("claim", "shift", *GROUP, "about"),
    *("verdict", "sentence", "not_under", "evidence"),
)


@dataclass(frozen=True, repr=False)
class Conclusions:
    """The statements, and the tables that they rest on; it prints itself as text.

    Attributes:
        claims: A row a statement and place: ``claim``, ``shift`` (class), ``dataset`` (``ALL``
            where it is averaged over the class), ``test_environments`` (``AVERAGED`` where it is
            averaged over those of the dataset), ``algorithm``, ``about`` (these optimizers, or what
            they are a sample of), ``verdict`` (holds, does not hold, undecided, depends on the
            budget; or a return type), ``sentence`` (what was found), ``not_under`` (parts of the
            search spaces without it), ``evidence`` (the numbers behind it, in words).
        recommendations: One per class of shift and algorithm, and per dataset of unknown shift.
        curves: The return curve of each optimizer.
        kinds, optimizers: ``compare_kinds`` and ``compare_optimizers``; ``kinds`` is empty where
            there is only one kind, and both are where no run can be selected.
        classes: ``compare_by_class`` of every pair of optimizers.
        equal_id: ``ood_at_equal_id``; empty where no two optimizers are on one dataset.
        lines: ``accuracy_on_the_line``.
        robustness: ``effective_robustness`` against the baseline; empty where none was chosen.
        runs: Numbers of runs by status.
        rule: How each optimizer's run is selected.
        remark: What a reader must know about all of them: see ``frozen_remark``.
        power: What differences this search would decide: see ``analysis.compare.power``.
        cuts_refused: Panel, in words -> why its search spaces are not cut.
        health: ``search_health``.
        left_out: Datasets on which optimizers are not compared, such as those without the score
            that the rule reads, and why. What needs no selection is stated of them too.
        missing: What further columns of the table would answer; see ``more_columns``.
        estimation: What all comparisons rest on, for others to be made of it; None without any.
        environments: Names that test environments have in text, beside their indices.
    """

    claims: pd.DataFrame
    recommendations: tuple[Recommendation, ...]
    curves: Mapping[Key, ReturnCurve]
    kinds: pd.DataFrame
    optimizers: pd.DataFrame
    classes: pd.DataFrame
    equal_id: pd.DataFrame
    lines: pd.DataFrame
    robustness: pd.DataFrame
    runs: Mapping[str, int]
    rule: str
    remark: str = ""
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    power: tuple[str, ...] = ()
    cuts_refused: Mapping[str, str] = field(default_factory=dict)
    health: pd.DataFrame = field(default_factory=pd.DataFrame)
    estimation: Estimation | None = None
    environments: Environments = field(default_factory=dict)

    @property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """What a reader must know, by heading."""
        return notes_of(self)

    def __repr__(self) -> str:
        return conclusions_text(self)

    def _repr_html_(self) -> str:
        return conclusions_html(self)


def conclude(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    baseline: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> Conclusions:
    """Judge every statement on every dataset, and by class of shift.

    What needs no run to be selected is judged of every table of models: return types, the line on
    probit axes, OOD accuracy at equal ID accuracy. The rest is left out where the rule cannot
    choose, and ``missing`` says what it needs.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` (the class) and
            ``optimizer_kind`` are used where present.
        rule: How each optimizer's run is selected.
        budget, unit: Budget and unit of each optimizer; see ``analysis.compare_optimizers``.
        baseline: An optimizer, against whose curve the others' effective robustness is measured.
        predictions: What the runs predicted (``oodbench.predictions``): with them, the statements
            cover the test examples, too.
        seed: Decides the bootstraps.

    Raises:
        RequestError: No runs, a column is missing, or the baseline has nowhere a curve.
        UnknownNameError: No such rule, unit or baseline.
    """
    comparison = Comparison(rule, budget, unit, predictions=predictions, seed=seed)
    check_name("selection rule", rule, RUN_RULES)
    require(pairs, SCORES)
    pairs = pairs.assign(shift=classes_of(pairs))
    if RUN_RULES[rule] not in pairs:
        pairs[RUN_RULES[rule]] = np.nan
    known: dict[str, Any] = {"predictions": predictions, "seed": seed}
    clouds = tuple(clouds_of(pairs, **known))
    curves, lines = curves_of(clouds, Fit(seed=seed)), accuracy_on_the_line(pairs, **known)
    robustness = effective_robustness(pairs, baseline, **known) if baseline else pd.DataFrame()
    equal_id = equal_id_table(clouds) if _several_optimizers(pairs) else pd.DataFrame()
    selecting = _selecting(pairs, comparison)
    claims = (
        *claims_of_classes(selecting.pop("classes_of_kinds")),  # the widest first
        *claims_of_kinds(selecting["kinds"]),
        *claims_at_equal_id(equal_id, pairs),
        *claims_of_returns(curves),
        *claims_of_lines(lines),
        *claims_of_robustness(robustness),
    )
    return Conclusions(
        claims=_claims_table(claims, pairs),
        recommendations=recommend(selecting["classes"]),
        curves=curves,
        equal_id=equal_id,
        lines=lines,
        robustness=robustness,
        runs={
            str(k): int(v)
            for k, v in drawn(pairs).drop_duplicates("run")["status"].value_counts().items()
        },
        rule=rule,
        remark=frozen_remark(pairs),
        left_out=_not_compared(pairs, rule),
        missing=tuple(more_columns(pairs, rule)),
        health=search_health(pairs, rule),
        **selecting,
    )


def _selecting(pairs: pd.DataFrame, comparison: Comparison) -> dict[str, Any]:
    """What rests on selected runs; empty tables where no two optimizers can be compared by them."""
    classes = pd.DataFrame(columns=OF_CLASSES)
    found: dict[str, Any] = {
        "kinds": pd.DataFrame(),
        "optimizers": pd.DataFrame(),
        "classes": classes,
        "classes_of_kinds": classes,
    }
    trials = trials_of(pairs, comparison.rule)
    if not _several_optimizers(trials):
        return found
    estimation, shifts = Estimation.of(pairs, comparison), shifts_of(pairs)
    found["optimizers"] = pairs_table(estimation)
    if _both_kinds(trials):
        found["kinds"] = kinds_table(estimation)
        found["classes_of_kinds"] = classes_table(estimation, shifts, "kind")
    found["classes"] = classes_table(estimation, shifts, "optimizer")
    return found | {
        "power": power_sentences(estimation),
        "cuts_refused": dict(estimation.refused),
        "estimation": estimation,
    }


def _not_compared(pairs: pd.DataFrame, rule: str) -> tuple[str, ...]:
    """Where optimizers are not compared, and why: in one sentence if it is so everywhere."""
    runs = drawn(pairs)
    completed = runs[runs["status"] == "completed"]
    if len(completed) and completed[RUN_RULES[rule]].isna().all():
        why = refusal(completed.assign(dataset="all datasets"), rule)
        return (f"Optimizers are not compared: {why}",)
    return tuple(without_trials(pairs, rule))


def _claims_table(claims: Iterable[Mapping[str, str]], pairs: pd.DataFrame) -> pd.DataFrame:
    """The statements, each with the class of its dataset's shift."""
    table = pd.DataFrame([{**dict.fromkeys(COLUMNS, ""), **claim} for claim in claims])
    known = pairs.drop_duplicates("dataset").set_index("dataset")["shift"]
    return table.assign(shift=table["dataset"].map(known).fillna(table["shift"]))


def _several_optimizers(runs: pd.DataFrame) -> bool:
    """Whether two optimizers have runs on one dataset with one algorithm."""
    return bool((drawn(runs).groupby(list(GROUP))["optimizer"].nunique() > 1).any())


def _both_kinds(trials: pd.DataFrame) -> bool:
    """Whether optimizers of both kinds have trials on one dataset with one algorithm."""
    if "optimizer_kind" not in trials.columns:
        return False
    return bool((trials.groupby(list(GROUP))["optimizer_kind"].nunique() > 1).any())
