"""What a results database says about optimizers out of distribution, as statements with verdicts.

The statements are those of Naganuma et al. (TMLR 2023), and what one would do about them. Each is
computed from the tables of this package; the verdicts are theirs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oodbench.results.select import drawn

from ..compare.by_shift_class import COLUMNS, UNKNOWN, classes_of, compare_by_class
from ..compare.comparison import Settings, Unit
from ..compare.estimates import FEWEST
from ..compare.optimizers import compare_kinds, compare_optimizers
from ..curves.matching import ood_at_equal_id
from ..curves.return_curves import Key, return_curves
from ..curves.verdicts import NOT_DETERMINED, VERDICTS, ReturnCurve
from ..runs.columns import GROUP
from ..runs.names import pretty
from ..runs.remarks import frozen_remark
from ..runs.trials import trials_of, without_trials
from ..stats.best_of import INDEPENDENT
from .recommendation import Recommendation, amount, recommend

SAME_ID = "Adaptive optimizers are no different in ID accuracy"
WORSE_OOD = "Adaptive optimizers are worse in OOD accuracy"
WORSE_AT_EQUAL_ID = "Adaptive optimizers are worse in OOD accuracy at equal ID accuracy"
RETURNS = "Return type"

ALL = "all of the class"

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Conclusions:
    """The statements, and the tables that they rest on.

    Attributes:
        claims: A row a statement and place: ``claim``, ``shift`` (class), ``dataset`` (``ALL``
            where it is averaged over the class), ``test_environments``, ``algorithm``,
            ``verdict`` (holds, does not hold, undecided; or a return type), ``evidence`` (in
            words, with numbers).
        recommendations: One per class of shift and algorithm.
        curves: The return curve of each optimizer.
        kinds, optimizers: ``compare_kinds`` and ``compare_optimizers``; ``kinds`` is empty where
            there is only one kind.
        classes: ``compare_by_class`` of every pair of optimizers.
        equal_id: ``ood_at_equal_id``.
        runs: Numbers of runs by status.
        remark: What a reader must know about all of them: see ``frozen_remark``.
        left_out: Datasets on which optimizers are not compared, such as those without the score
            that the rule reads, and why. What needs no selection is said of them too: return types
            and OOD accuracy at equal ID accuracy.
    """

    claims: pd.DataFrame
    recommendations: tuple[Recommendation, ...]
    curves: Mapping[Key, ReturnCurve]
    kinds: pd.DataFrame
    optimizers: pd.DataFrame
    classes: pd.DataFrame
    equal_id: pd.DataFrame
    runs: Mapping[str, int]
    remark: str = ""
    left_out: tuple[str, ...] = ()


def conclude(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    seed: int = 0,
) -> Conclusions:
    """Judge every statement on every dataset, and by class of shift.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` (the class) and
            ``optimizer_kind`` are used where present.
        rule: How each optimizer's run is selected.
        budget, unit: Of each optimizer; see ``analysis.compare_optimizers``.
        seed: Decides the bootstraps.

    Raises:
        RequestError: No runs, a column is missing, or fewer than two optimizers anywhere.
        UnknownNameError: No such rule or unit.
    """
    settings: Settings = {"budget": budget, "unit": unit, "seed": seed}
    pairs = pairs.assign(shift=classes_of(pairs))
    optimizers = compare_optimizers(pairs, rule, **settings)
    equal_id = ood_at_equal_id(pairs)
    curves = return_curves(pairs, seed=seed)
    kinds, by_class = pd.DataFrame(), pd.DataFrame(columns=COLUMNS)
    if _both_kinds(trials_of(pairs, rule)):
        kinds = compare_kinds(pairs, rule, **settings)
        by_class = compare_by_class(pairs, rule, by="kind", **settings)
    claims = (
        *_of_kinds(kinds, {}),
        *_at_equal_id(equal_id, pairs),
        *_of_classes(by_class),
        *_of_returns(curves),
    )
    classes = compare_by_class(pairs, rule, **settings)
    statuses = {str(k): int(v) for k, v in drawn(pairs)["status"].value_counts().items()}
    table, advice = _claims_table(claims, pairs), recommend(classes)
    remark, left_out = frozen_remark(pairs), tuple(without_trials(pairs, rule))
    tables = (kinds, optimizers, classes, equal_id)
    return Conclusions(table, advice, curves, *tables, statuses, remark, left_out)


def _claims_table(claims: Iterable[Mapping[str, str]], pairs: pd.DataFrame) -> pd.DataFrame:
    """The statements, each with the class of its dataset's shift."""
    columns = ["claim", "shift", *GROUP, "verdict", "evidence"]
    table = pd.DataFrame([{**dict.fromkeys(columns, ""), **claim} for claim in claims])
    known = pairs.drop_duplicates("dataset").set_index("dataset")["shift"]
    return table.assign(shift=table["dataset"].map(known).fillna(table["shift"]))


def _both_kinds(trials: pd.DataFrame) -> bool:
    """Whether optimizers of both kinds have trials on one dataset with one algorithm."""
    if "optimizer_kind" not in trials.columns:
        return False
    return bool((trials.groupby(list(GROUP))["optimizer_kind"].nunique() > 1).any())


def _of_kinds(table: pd.DataFrame, where: Mapping[str, str]) -> Iterable[dict[str, str]]:
    """SAME_ID and WORSE_OOD, from rows that compare adaptive with non-adaptive optimizers."""
    judged = {
        "id": {"no difference": HOLDS, "higher": FAILS, "lower": FAILS},
        "ood": {"lower": HOLDS, "higher": FAILS, "no difference": FAILS},
    }
    for row in table.to_dict("records"):
        score = str(row["score"])
        claim = SAME_ID if score == "id" else WORSE_OOD
        yield {
            "claim": claim,
            **{name: str(row[name]) for name in GROUP if name in row},
            **where,
            "verdict": judged[score].get(str(row["verdict"]), UNDECIDED),
            "evidence": f"{_found(row)}; {amount(row)} each; {_lost(row)}",
        }


def _of_classes(by_class: pd.DataFrame) -> Iterable[dict[str, str]]:
    """The same on average over the datasets of each class that has several."""
    for shift, rows in by_class[by_class["tasks"] > 1].groupby("shift", sort=False):
        if shift != UNKNOWN:
            yield from _of_kinds(rows, {"dataset": ALL, "shift": str(shift)})


def _found(row: Mapping[Any, Any]) -> str:
    """What a comparison came to. Without an interval the numbers are those of a few runs."""
    if not np.isfinite(row["low"]):
        return f"not tested: {points(row)}"
    return f"{row['verdict']}, P(improvement) {row['improvement']:.2f}, {points(row)}"


def points(row: Mapping[Any, Any]) -> str:
    """A difference of accuracies and its 95% interval: ``-14.5 points (-16.2 to -12.7)``."""
    value, low, high = (100 * row[name] for name in ("difference", "low", "high"))
    if not np.isfinite(low):
        return (
            f"{value:+.1f} points (an interval takes {FEWEST} configurations of each optimizer, "
            f"and {INDEPENDENT} times the budget)"
        )
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def _lost(row: Mapping[Any, Any]) -> str:
    """How many trials stand behind each side, and how many of them have no model."""
    sides = []
    for side in ("a", "b"):
        gone = row[f"diverged_{side}"] + row[f"failed_{side}"]
        sides.append(f"{row[f'trials_{side}']:,} {row[side]} ({gone:,} lost)")
    return f"n = {' and '.join(sides)}"


def _at_equal_id(table: pd.DataFrame, pairs: pd.DataFrame) -> Iterable[dict[str, str]]:
    """WORSE_AT_EQUAL_ID, from every pair of an adaptive and a non-adaptive optimizer."""
    if "optimizer_kind" not in pairs.columns:
        return
    kind = pairs.drop_duplicates("optimizer").set_index("optimizer")["optimizer_kind"]
    swap = {"higher": "lower", "lower": "higher"}
    for key, rows in table.groupby(list(GROUP), sort=False):
        found: Counter[str] = Counter()
        for row in rows.to_dict("records"):
            sides = (kind.get(row["a"]), kind.get(row["b"]))
            verdict = str(row["verdict"])
            if sides == ("non-adaptive", "adaptive"):
                verdict = swap.get(verdict, verdict)
            elif sides != ("adaptive", "non-adaptive"):
                continue
            found[verdict] += 1
        if not found:
            continue
        comparable = found.total() - found["not comparable"]
        against = found["higher"] + found["no difference"]
        verdict = UNDECIDED  # also where most pairs cannot be compared
        if 2 * comparable > found.total() and comparable in (found["lower"], against):
            verdict = FAILS if against else HOLDS
        yield {
            "claim": WORSE_AT_EQUAL_ID,
            **dict(zip(GROUP, map(str, key), strict=True)),
            "verdict": verdict,
            "evidence": "pairs of an adaptive and a non-adaptive optimizer: "
            + ", ".join(f"{count} {name}" for name, count in found.items()),
        }


def _of_returns(curves: Mapping[Key, ReturnCurve]) -> Iterable[dict[str, str]]:
    """RETURNS: the verdict that every optimizer's curve shares, of those that have one."""
    groups: dict[Key, dict[str, list[str]]] = {}
    for key, curve in curves.items():
        groups.setdefault(key[:-1], {}).setdefault(curve.verdict, []).append(pretty(key[-1]))
    for group, found in groups.items():
        determined = [verdict for verdict in VERDICTS[:-1] if verdict in found]
        verdict = determined[0] if len(determined) == 1 else NOT_DETERMINED
        told = [f"{name}: {', '.join(found[name])}" for name in VERDICTS if name in found]
        told += [
            f"{pretty(key[-1])} {curve.disagreement}"
            for key, curve in curves.items()
            if key[:-1] == group and curve.disagreement
        ]
        yield {
            "claim": RETURNS,
            **dict(zip(GROUP, group, strict=True)),
            "verdict": "differs by optimizer" if len(determined) > 1 else verdict,
            "evidence": "; ".join(told),
        }
