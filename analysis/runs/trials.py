"""Which runs are trials of a search, and why a dataset has none."""

from collections.abc import Iterator

import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results import UNKNOWN
from oodbench.results.select import RUN_RULES, drawn, refusal

from .columns import DESIGNS, GROUP, require
from .names import pretty, tested_on

SCORES = ("id", "ood")
FINISHED = ("completed", "diverged", "failed")


def of_design(pairs: pd.DataFrame) -> "pd.Series[bool]":
    """Which runs do not depend on earlier results; where nothing is known, those too."""
    sampler = pairs.get("sampler", pd.Series(UNKNOWN, index=pairs.index))
    return sampler.isin(DESIGNS) | sampler.isna()


def check_trials(pairs: pd.DataFrame, rule: str) -> None:
    """Refuse a table in which no run can be a trial; see ``analysis.runs.searches.searches``."""
    check_name("selection rule", rule, RUN_RULES)
    require(pairs, (*SCORES, RUN_RULES[rule]))
    pairs = drawn(pairs)
    if not of_design(pairs).any():
        raise RequestError(
            "Every run was found by an adaptive search, which draws each trial by the results of "
            "earlier ones: they are no independent draws, so there is no expected best of n. Run "
            "a sweep with `sampler: random`."
        )
    completed = pairs[pairs["status"] == "completed"]
    if len(completed) and completed[RUN_RULES[rule]].isna().all():
        raise RequestError(refusal(completed, rule))


def trials_of(pairs: pd.DataFrame, rule: str) -> pd.DataFrame:
    """The runs that a design drew and that have ended: lost, or with scores.

    Args:
        pairs: See ``analysis.runs.searches.searches``.
        rule: One of ``RUN_RULES``: a completed run needs the score that it reads, and both others.

    Returns:
        Their rows. There are none of a panel (dataset, test environments and algorithm) where runs
        completed and none of them has its scores: only the lost ones would be compared there.
    """
    pairs = drawn(pairs)
    ended = pairs[pairs["status"].isin(FINISHED) & of_design(pairs)]
    completed = ended["status"] == "completed"
    scored = completed & ended[[RUN_RULES[rule], *SCORES]].notna().all(axis=1)
    panel = [ended[name] for name in GROUP]
    any_completed, any_scored = (
        which.groupby(panel).transform("any") for which in (completed, scored)
    )
    return ended[(scored | ~completed) & (any_scored | ~any_completed)]


def without_trials(pairs: pd.DataFrame, rule: str) -> Iterator[str]:
    """Where runs have ended and none is a trial, and why: a sentence a choice of test environments.

    Args:
        pairs, rule: See ``trials_of``.
    """
    pairs = drawn(pairs)
    ended = pairs[pairs["status"].isin(FINISHED)]
    for (dataset, environments), runs in ended.groupby(list(GROUP[:2]), sort=False):
        having = trials_of(runs, rule)["algorithm"].unique()
        runs = runs[~runs["algorithm"].isin(having)]
        if len(runs):
            names = ", ".join(pretty(str(name)) for name in runs["algorithm"].unique())
            where = f"{dataset}, {tested_on(str(environments))} ({names})"
            yield f"Optimizers are not compared on {where}: {_why_none(runs, rule)}"


def _why_none(ended: pd.DataFrame, rule: str) -> str:
    design = ended[of_design(ended)]
    completed = design[design["status"] == "completed"]
    if design.empty:
        return f"An adaptive search found all of its {len(ended):,} runs."
    if completed[RUN_RULES[rule]].isna().all():
        return refusal(completed, rule)
    return f"Of {len(completed):,} completed runs none has both an ID and an OOD score."
