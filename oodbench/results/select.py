"""Choosing one run of each group: the selection rules, for queries and for analysis alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oodbench.errors import QueryError, UnknownNameError
from oodbench.results.schema import CONFIRM
from oodbench.results.views import GROUP

if TYPE_CHECKING:
    import pandas as pd

CHECKPOINT_RULES = ("last", "best_id_val")
"""Which checkpoint of a run is scored: its last one, or the first of those with the highest mean
accuracy on the validation parts of the training environments."""

RUN_RULES = {"id_val": "id_val", "oracle": "oracle_val"}
"""Which run of a group is chosen: the rule's name, and the score that it maximises. ``oracle``
looks at the test environments, so what it chooses is no estimate of what one would get."""

COUNTS = ("completed", "diverged", "failed", "waiting", "n_candidates")


def check_checkpoint_rule(rule: str) -> None:
    """Refuse a checkpoint rule that does not exist.

    Raises:
        UnknownNameError: With the rules that do.
    """
    if rule not in CHECKPOINT_RULES:
        raise UnknownNameError("checkpoint rule", rule, CHECKPOINT_RULES)


def drawn(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs that a search drew, without those that repeat a winner on other seeds.

    Those are no candidates: the best of a winner's repeats would be a biased choice, and they are
    no draws from the search space.
    """
    return runs[runs["sampler"] != CONFIRM] if "sampler" in runs.columns else runs


def confirmed(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The other runs: those that repeat a winner on other seeds."""
    return runs[runs["sampler"] == CONFIRM]


def select(runs: "pd.DataFrame", rule: str = "id_val", by: Sequence[str] = GROUP) -> "pd.DataFrame":
    """The best completed run of each group, under ``rule``, among those that were ``drawn``.

    Args:
        runs: What ``query.pairs`` gives: a row for each run, whatever its status.
        rule: One of ``RUN_RULES``. Equal scores go to the smallest run id.
        by: The columns that make a group.

    Returns:
        A row for each group, in order of appearance, with the columns of ``runs``, the ``rule``,
        how many of the group's runs are ``completed``, ``diverged``, ``failed`` and ``waiting``
        (not finished), and ``n_candidates``: the completed ones with a score, of which the best
        was taken. A group with no candidate has a row with nulls for its run.

    Raises:
        UnknownNameError: If there is no such rule.
        QueryError: If a column that is needed is not there.
    """
    if rule not in RUN_RULES:
        raise UnknownNameError("selection rule", rule, RUN_RULES)
    score, groups = RUN_RULES[rule], list(by)
    missing = [name for name in ("run", "status", score, *groups) if name not in runs.columns]
    if missing:
        raise QueryError(
            f"Selecting by {rule} needs the columns {', '.join(missing)}; give what "
            "oodbench.results.query.pairs returns."
        )
    runs = drawn(runs)
    candidates = runs[(runs["status"] == "completed") & runs[score].notna()]
    ranked = candidates.sort_values([score, "run"], ascending=[False, True], kind="stable")
    best = ranked.drop_duplicates(groups)
    result = _counts(runs, candidates, groups).merge(best, on=groups, how="left")
    result["rule"] = rule
    others = [name for name in runs.columns if name not in groups]
    return result[[*groups, "rule", *others, *COUNTS]]


def _counts(runs: "pd.DataFrame", candidates: "pd.DataFrame", groups: list[str]) -> "pd.DataFrame":
    """The groups in order of appearance, with how many runs each has of every kind."""
    result = runs[groups].drop_duplicates()
    waiting = runs["status"].isin(["waiting", "running"])
    kinds = {name: runs[runs["status"] == name] for name in ("completed", "diverged", "failed")}
    for name, rows in {**kinds, "waiting": runs[waiting], "n_candidates": candidates}.items():
        count = rows.groupby(groups, dropna=False).size().rename(name)
        result = result.merge(count, left_on=groups, right_index=True, how="left")
    return result.fillna(dict.fromkeys(COUNTS, 0)).astype(dict.fromkeys(COUNTS, "int64"))
