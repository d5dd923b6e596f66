"""What a results database says about optimizers out of distribution, as statements with verdicts.

The statements are those of Naganuma et al. (TMLR 2023), and what one would do about them. Each is
computed from the tables of this package; the verdicts are theirs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from oodbench.results.predictions import Predictions
from oodbench.results.select import drawn

from ..compare.by_shift_class import COLUMNS, classes_of, classes_table, shifts_of
from ..compare.comparison import Comparison, Unit
from ..compare.estimation import Estimation
from ..compare.health import search_health
from ..compare.optimizers import kinds_table, pairs_table
from ..compare.power import power_sentences
from ..curves.fitting import Fit
from ..curves.id_ood_curves import clouds_of
from ..curves.matching import equal_id_table
from ..curves.return_curves import Key, curves_of
from ..curves.verdicts import NOT_DETERMINED, VERDICTS, ReturnCurve
from ..runs.columns import GROUP, require
from ..runs.names import pretty
from ..runs.remarks import frozen_remark
from ..runs.trials import trials_of, without_trials
from .claims import FAILS, HOLDS, UNDECIDED, claims_of_classes, claims_of_kinds
from .recommendation import Recommendation, recommend

WORSE_AT_EQUAL_ID = "Adaptive optimizers are worse in OOD accuracy at equal ID accuracy"
RETURNS = "Return type"


@dataclass(frozen=True)
class Conclusions:
    """The statements, and the tables that they rest on.

    Attributes:
        claims: A row a statement and place: ``claim``, ``shift`` (class), ``dataset`` (``ALL``
            where it is averaged over the class), ``test_environments`` (``AVERAGED`` where it is
            averaged over those of the dataset), ``algorithm``, ``about`` (these optimizers, or what
            they are a sample of), ``verdict`` (holds, does not hold, undecided, depends on the
            budget; or a return type), ``evidence`` (in words, with numbers).
        recommendations: One per class of shift and algorithm, and per dataset of unknown shift.
        curves: The return curve of each optimizer.
        kinds, optimizers: ``compare_kinds`` and ``compare_optimizers``; ``kinds`` is empty where
            there is only one kind.
        classes: ``compare_by_class`` of every pair of optimizers.
        equal_id: ``ood_at_equal_id``.
        runs: Numbers of runs by status.
        remark: What a reader must know about all of them: see ``frozen_remark``.
        power: What differences this search would decide: see ``analysis.compare.power``.
        cuts_refused: Where search spaces are not cut, and why.
        health: ``search_health``.
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
    power: tuple[str, ...] = ()
    cuts_refused: tuple[str, ...] = ()
    health: pd.DataFrame = field(default_factory=pd.DataFrame)


def conclude(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    *,
    budget: float | None = None,
    unit: Unit = "trials",
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> Conclusions:
    """Judge every statement on every dataset, and by class of shift.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; ``shift`` (the class) and
            ``optimizer_kind`` are used where present.
        rule: How each optimizer's run is selected.
        budget, unit: Of each optimizer; see ``analysis.compare_optimizers``.
        predictions: What the runs predicted (``oodbench.predictions``): with them, the statements
            cover the test examples, too.
        seed: Decides the bootstraps.

    Raises:
        RequestError: No runs, a column is missing, or fewer than two optimizers anywhere.
        UnknownNameError: No such rule or unit.
    """
    require(pairs, ("id", "ood"))
    comparison = Comparison(rule, budget, unit, predictions=predictions, seed=seed)
    pairs = pairs.assign(shift=classes_of(pairs))
    shifts, estimation = shifts_of(pairs), Estimation.of(pairs, comparison)
    optimizers = pairs_table(estimation)
    clouds = tuple(clouds_of(pairs, predictions=predictions, seed=seed))
    equal_id = equal_id_table(clouds)
    curves = curves_of(clouds, Fit(seed=seed))
    kinds, by_class = pd.DataFrame(), pd.DataFrame(columns=COLUMNS)
    if _both_kinds(trials_of(pairs, rule)):
        kinds = kinds_table(estimation)
        by_class = classes_table(estimation, shifts, "kind")
    claims = (
        *claims_of_kinds(kinds),
        *_at_equal_id(equal_id, pairs),
        *claims_of_classes(by_class),
        *_of_returns(curves),
    )
    classes = classes_table(estimation, shifts, "optimizer")
    statuses = {str(k): int(v) for k, v in drawn(pairs)["status"].value_counts().items()}
    return Conclusions(
        _claims_table(claims, pairs),
        recommend(classes),
        curves,
        kinds,
        optimizers,
        classes,
        equal_id,
        statuses,
        frozen_remark(pairs),
        tuple(without_trials(pairs, rule)),
        power_sentences(estimation),
        tuple(f"{where}: {why}" for where, why in estimation.refused.items()),
        search_health(pairs, rule),
    )


def _claims_table(claims: Iterable[Mapping[str, str]], pairs: pd.DataFrame) -> pd.DataFrame:
    """The statements, each with the class of its dataset's shift."""
    columns = ["claim", "shift", *GROUP, "about", "verdict", "evidence"]
    table = pd.DataFrame([{**dict.fromkeys(columns, ""), **claim} for claim in claims])
    known = pairs.drop_duplicates("dataset").set_index("dataset")["shift"]
    return table.assign(shift=table["dataset"].map(known).fillna(table["shift"]))


def _both_kinds(trials: pd.DataFrame) -> bool:
    """Whether optimizers of both kinds have trials on one dataset with one algorithm."""
    if "optimizer_kind" not in trials.columns:
        return False
    return bool((trials.groupby(list(GROUP))["optimizer_kind"].nunique() > 1).any())


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
