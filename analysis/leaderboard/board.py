"""The numbers of the leaderboard: a cell is one optimizer on one testbed with one algorithm."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.records import PROTOCOL
from oodbench.results.predictions import Predictions
from oodbench.results.select import RUN_RULES

from ..compare.budgets import HEADLINE, trials_of_each
from ..compare.by_shift_class import places_of_targets
from ..compare.comparison import Comparison
from ..compare.contests import against
from ..compare.differences import contested
from ..compare.estimates import Tasks
from ..compare.estimation import Estimation
from ..compare.levels import expected_scores
from ..compare.verdicts import with_verdicts
from ..runs.columns import TESTBED, require_columns
from ..runs.names import pretty
from ..runs.searches import Searches
from ..stats.best_of import RESAMPLES
from ..stats.testing import LEVEL, MARGIN, holm_within
from .ranks import OOD, duels, rank_ranges
from .testbeds import Testbed, testbeds

REFERENCE, ABSENT = "reference", "no reference"
"""Verdicts on the reference itself, and where it has not enough trials."""

BED = ("protocol", "shift", "algorithm", "testbed", "dataset", "model", "settings")
"""Columns that identify a testbed with one algorithm."""

SECTION = BED[:3]
"""Columns that identify a table of the page."""


@dataclass(frozen=True)
class Leaderboard:
    """Optimizers on testbeds.

    Attributes:
        cells: A row a cell: ``cell`` (its name), ``protocol``, ``shift``, ``algorithm``,
            ``testbed`` (a number), ``dataset``, ``model``, ``settings``, ``optimizer``, ``kind``,
            ``chance``, ``test_environments``, ``by_environment`` (of each its text and the
            estimate), ``rule``, ``unit``, ``budget``, ``n``, ``splits``,
            ``examples``, ``trials``, ``completed``, ``diverged``, ``failed``, ``no_model``,
            ``gradient_evaluations`` and ``seconds`` (of the budget), ``id`` and ``ood`` with their
            ends, ``difference`` (from the reference) and what follows it in
            ``analysis.compare_to``, ``verdict``, ``rank_low``, ``rank_high``, ``of``.
        reference: The optimizer that the others are compared with.
        rule: How a run is selected.
        budget: Draws of which it selects one.
        margin: Accuracies closer than this are no different; fractions.
        compared: How many differences were tested.
        notes: A sentence on each optimizer that has no cell on a testbed where it ran.
        runs: The runs behind it; the column ``testbed`` is that of ``cells``.
    """

    cells: pd.DataFrame
    reference: str
    rule: str
    budget: int
    margin: float
    compared: int
    notes: tuple[str, ...]
    runs: pd.DataFrame

    def runs_of(self, row: Mapping[Any, Any]) -> pd.DataFrame:
        """The runs of a cell, those that the rule ranks highest first.

        Args:
            row: Its row of ``cells``.
        """
        wanted = self.runs[TESTBED] == row[TESTBED]
        for name in ("algorithm", "optimizer"):
            wanted &= self.runs[name].astype(str) == row[name]
        places = row["test_environments"].split("; ")
        wanted &= self.runs["test_environments"].astype(str).isin(places)
        by = RUN_RULES[self.rule]
        mine: pd.DataFrame = self.runs[wanted]
        return mine.sort_values(by, ascending=False, kind="stable")


def leaderboard(
    pairs: pd.DataFrame,
    reference: str = "momentum",
    rule: str = "id_val",
    predictions: Sequence[Predictions] = (),
    *,
    budget: int = HEADLINE,
    margin: float = MARGIN,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Leaderboard:
    """Compare every optimizer with one, on each testbed and with each algorithm.

    A testbed is a dataset with a model and a way to train it; its test environments are averaged.
    The estimate is the expected OOD accuracy of the run that ``rule`` selects among ``budget``
    draws from the optimizer's search space, and the verdict that of ``analysis.compare_to``:
    corrected (Holm) over all cells of one class of shift, algorithm and protocol. Two optimizers
    are ranked where the difference of that pair is decided, corrected over the pairs of all
    testbeds of these: the ranks between ``rank_low`` (1 + how many
    are better) and ``rank_high`` (their number - how many are worse) then hold the true one, all
    together, in 95% of studies (Klein, Wright and Wieczorek 2020; Mogstad et al. 2024).

    Args:
        pairs: A row a run, as from ``oodbench.query``; see ``analysis.leaderboard.testbeds``.
        reference: The optimizer that the others are compared with.
        rule: How a run is selected.
        predictions: What the runs predicted: with them, intervals cover the test examples.
        budget: Draws of which the rule selects one; the same everywhere.
        margin: Accuracies closer than this are no different; fractions.
        resamples, seed: Resamples and seed of the bootstrap.

    Raises:
        RequestError: No runs, a column is missing, or no optimizer has ``budget`` trials.
        UnknownNameError: No such rule, or no run of the reference.
    """
    require_columns(pairs, ("id", "ood"))
    check_name("optimizer", reference, sorted(pd.unique(pairs["optimizer"].astype(str))))
    comparison = Comparison(
        rule, budget, margin=margin, predictions=predictions, resamples=resamples, seed=seed
    )
    rows: list[dict[str, Any]] = []
    pair_rows: list[dict[str, Any]] = []
    notes: list[str] = []
    beds = list(testbeds(pairs))
    for bed in beds:
        for head, found, estimation in _searches(bed, comparison):
            members, left_out = _members(found, budget)
            notes += [f"{name} on {bed.name}: {why}" for name, why in left_out.items()]
            if members:
                tasks = estimation.tasks(found, members)
                rows += _cells(head, tasks, members, reference)
                pair_rows += [{**head, **pair} for pair in duels(tasks, members)]
    if not rows:
        raise RequestError(
            f"No optimizer has {budget} trials on all test environments of a testbed: "
            f"{'; '.join(notes) or 'nothing was drawn'}. Train more, or lower the budget."
        )
    cells = _judged(pd.DataFrame(rows), margin)
    cells = rank_ranges(cells, _corrected(pair_rows), BED)
    runs = pd.concat([bed.runs for bed in beds])
    tested = int(cells["p"].notna().sum())
    return Leaderboard(cells, reference, rule, budget, margin, tested, tuple(notes), runs)


def _searches(
    bed: Testbed, comparison: Comparison
) -> Iterator[tuple[dict[str, Any], list[Searches], Estimation]]:
    """The panels of each algorithm on a testbed, with the columns ``BED``."""
    mine = set(bed.runs["run"])
    known = [one for one in comparison.predictions if not mine.isdisjoint(one.runs)]
    settings = {name: getattr(comparison, name) for name in ("budget", "margin", "resamples")}
    own = Comparison.of(comparison.rule, known, {**settings, "seed": comparison.seed})
    estimation = Estimation.of(bed.runs.drop(columns=TESTBED), own)
    targets = places_of_targets([one.panel for one in estimation.searches])
    for algorithm in dict.fromkeys(one.panel.algorithm for one in estimation.searches):
        found = [
            one
            for one in estimation.searches
            if one.panel.algorithm == algorithm and targets.get(one.panel.key, "") is not None
        ]
        kind = bed.protocol, bed.shift, algorithm
        values = (*kind, bed.number, bed.dataset, bed.model, bed.settings)
        yield dict(zip(BED, values, strict=True)), found, estimation


def _members(found: Sequence[Searches], budget: int) -> tuple[list[str], dict[str, str]]:
    """The optimizers with enough trials on every panel; why others have none."""
    every = dict.fromkeys(name for one in found for name in one.optimizers)
    members, left_out = [], {}
    for name in every:
        lacking = [one.panel.test_environments for one in found if name not in one.optimizers]
        if lacking:
            left_out[pretty(name)] = f"no runs tested on {' or '.join(lacking)}"
            continue
        fewest = min(trials_of_each(one, name) for one in found)
        if fewest < budget:
            left_out[pretty(name)] = f"{fewest} trials, fewer than the budget of {budget}"
        else:
            members.append(name)
    return members, left_out


def _cells(
    head: dict[str, Any], tasks: Tasks, members: Sequence[str], reference: str
) -> Iterator[dict[str, Any]]:
    """The rows of one testbed and algorithm."""
    searches = [one.searches for one in tasks.bought]
    contests = against([searches[0].of(name) for name in members], reference)
    versus = {
        contest.a: numbers
        for contest, score, numbers in contested(tasks, contests)
        if score == "ood"
    }
    where = [one.panel.test_environments for one in searches]
    chances = [one.panel.chance for one in searches if one.panel.chance is not None]
    for name in members:
        mine = [one.of(name) for one in searches]
        budget = tasks.budgets[0].trials[name]
        costs = {
            unit: budget * float(np.mean([m.costs[unit] for m in mine])) for unit in mine[0].costs
        }
        yield {
            "cell": _cell_name({**head, "optimizer": name}),
            **head,
            "optimizer": name,
            "kind": mine[0].kind,
            "chance": float(np.mean(chances)) if chances else np.nan,
            "test_environments": "; ".join(where),
            "by_environment": tuple(
                (place, round(float(one.values[name][0, 0, OOD]), 6))
                for place, one in zip(where, tasks.bought, strict=True)
            ),
            **tasks.known,
            "n": budget,
            **tasks.counts([name], ""),
            **costs,
            **expected_scores(tasks, name),
            **versus.get(name, {}),
            "verdict": REFERENCE if name == reference else ABSENT,
        }


def _cell_name(head: Mapping[str, Any]) -> str:
    """The name of a cell, for links and files: letters, digits and dashes alone."""
    text = "-".join(str(head[name]) for name in (*BED[4:], "algorithm", "optimizer"))
    text += "" if head["protocol"] == PROTOCOL else f"-{head['protocol']}"
    words = "".join(one if one.isalnum() and one.isascii() else "-" for one in text)
    return "-".join(part for part in words.lower().split("-") if part)


def _judged(cells: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The cells with verdicts where there is a difference from the reference."""
    compared = cells.get("difference", pd.Series(np.nan, index=cells.index)).notna()
    if not compared.any():
        return cells.assign(**dict.fromkeys(("difference", "low", "high", "p", "p_holm"), np.nan))
    found = with_verdicts(cells[compared].drop(columns="verdict"), SECTION, margin)
    whole = pd.concat([found, cells[~compared].dropna(axis=1, how="all")])
    return whole.sort_index()


def _corrected(pairs: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The pairs, with the sign of each difference that is decided after Holm's correction."""
    table = pd.DataFrame(pairs, columns=[*BED, "a", "b", "value", "p"])
    table = holm_within(table.astype({"value": float, "p": float}), "p", SECTION)
    decided = table["p_holm"] < LEVEL
    return table.assign(sign=np.where(decided, np.sign(table["value"]), 0))
