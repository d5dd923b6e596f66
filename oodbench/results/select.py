"""Choosing one run of each group: the selection rules, for queries and for analysis alike."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from oodbench.errors import QueryError, check_name
from oodbench.results.columns import GROUP
from oodbench.results.schema import CONFIRM

if TYPE_CHECKING:
    import pandas as pd

CHECKPOINT_RULES = ("last", "best_id_val")
"""Which checkpoint of a run is scored: its last one, or the first of those with the highest mean
accuracy on the validation parts of the training environments."""

RUN_RULES = {
    "id_val": "id_val",
    "worst_group_val": "worst_group_val",
    "ood_val": "ood_val",
    "leave_one_environment_out": "leave_one_environment_out",
    "oracle": "oracle_val",
}
"""Which run of a group is chosen: the rule's name, and the score that it maximises. ``oracle``
looks at the test environments, so what it chooses is no estimate of what one would get."""

LACKING = {
    "id_val": "has accuracy on validation examples of the training environments",
    "worst_group_val": "has accuracy on validation examples of each training environment",
    "ood_val": "was scored on validation environments apart from the training and the test ones "
    "(their dataset has none)",
    "leave_one_environment_out": "has its siblings: runs that differ from it only in one more test "
    "environment, for each of its training environments. Train those too: in a sweep, the same "
    "dataset with each pair of test environments",
    "oracle": "has accuracy on validation examples of the test environments",
}
"""What no run has where a rule is refused."""

ORACLE = " (which looks at the test environments)"

LeftOut = tuple[Hashable, frozenset[int], int]
"""Configuration, test environments of a run, and the one of them that it is scored on."""

COUNTS = ("completed", "diverged", "failed", "waiting", "n_candidates")


def check_protocols(runs: "pd.DataFrame") -> None:
    """Refuse to pool runs of different protocols, such as imported ones with our own.

    Args:
        runs: A row a run; nothing is checked without the column ``protocol``.

    Raises:
        QueryError: If runs of one dataset, test environments and algorithm differ in it.
    """
    if "protocol" not in runs.columns or runs["protocol"].nunique() < 2:
        return
    for group, rows in runs.groupby(list(GROUP[:3]), sort=False):
        protocols = rows["protocol"].unique()
        if len(protocols) > 1:
            place = f", test environments {group[1]}" if group[1] else ""
            where = " or ".join(f"--where \"protocol = '{name}'\"" for name in sorted(protocols))
            raise QueryError(
                f"Runs on {group[0]}{place}, with {group[2]} are of the "
                f"protocols {', '.join(sorted(protocols))}, and what differs in protocol is not "
                f"compared. Choose one: {where}."
            )


def drawn(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The runs that a search drew, without those that repeat a winner on other seeds.

    Those are no candidates: the best of a winner's repeats would be a biased choice, and they are
    no draws from the search space.
    """
    return runs[runs["sampler"] != CONFIRM] if "sampler" in runs.columns else runs


def confirmed(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The other runs: those that repeat a winner on other seeds."""
    return runs[runs["sampler"] == CONFIRM]


def left_out_mean(
    left_out: Mapping[LeftOut, float],
    configuration: Hashable,
    test_environments: frozenset[int],
    environments: Iterable[int],
) -> float | None:
    """The score of a configuration by leaving out one training environment at a time.

    Args:
        left_out: Accuracies on an environment of the runs that leave it out as well.
        configuration: What those runs have in common with the one to be scored.
        test_environments: That one's.
        environments: All of the dataset's.

    Returns:
        The mean over the training environments; None unless each of them was left out once.
    """
    training = [e for e in environments if e not in test_environments]
    keys = [(configuration, test_environments | {e}, e) for e in training]
    if not all(key in left_out for key in keys):
        return None
    return sum(left_out[key] for key in keys) / len(keys)


def select(
    runs: "pd.DataFrame",
    rule: str = "id_val",
    by: Sequence[str] = GROUP,
    largest: Sequence[str] = (),
) -> "pd.DataFrame":
    """The best completed run of each group, under ``rule``, among those that were ``drawn``.

    Args:
        runs: What ``query.pairs`` gives: a row for each run, whatever its status. A run may have
            several, one for each checkpoint that may be chosen with it.
        rule: One of ``RUN_RULES``. Equal scores go to the smallest run id.
        by: The columns that make a group.
        largest: Among equal scores, columns whose largest value goes first.

    Returns:
        A row for each group, in order of appearance, with the columns of ``runs``, the ``rule``,
        how many of the group's runs are ``completed``, ``diverged``, ``failed`` and ``waiting``
        (not finished), and ``n_candidates``: the completed rows with a score, of which the best
        was taken. A group with no candidate has a row with nulls for its run.

    Raises:
        UnknownNameError: If there is no such rule.
        QueryError: If a column that is needed is not there, runs of different protocols would be
            pooled, or runs completed and none has the score that the rule reads: another rule is
            never taken in its place.
    """
    score, groups = _score_of(rule, by, runs), list(by)
    runs = drawn(runs)
    check_protocols(runs)
    completed = runs["status"] == "completed"
    candidates = runs[completed & runs[score].notna()]
    if completed.any() and candidates.empty:
        raise QueryError(refusal(runs[completed], rule))
    order = {**dict.fromkeys([score, *largest], False), "run": True}
    ranked = candidates.sort_values([*order], ascending=[*order.values()], kind="stable")
    best = ranked.drop_duplicates(groups)
    result = _counts(runs, candidates, groups).merge(best, on=groups, how="left")
    result["rule"] = rule
    others = [name for name in runs.columns if name not in groups]
    return result[[*groups, "rule", *others, *COUNTS]]


def _score_of(rule: str, by: Sequence[str], runs: "pd.DataFrame") -> str:
    """The column that the rule reads, which the runs have."""
    check_name("selection rule", rule, RUN_RULES)
    needed = ("run", "status", RUN_RULES[rule], *by)
    missing = [name for name in needed if name not in runs.columns]
    if missing:
        raise QueryError(
            f"Selecting by {rule} needs the columns {', '.join(missing)}; give what "
            "oodbench.results.query.pairs returns."
        )
    return RUN_RULES[rule]


def refusal(completed: "pd.DataFrame", rule: str) -> str:
    """The error that a rule cannot choose among these runs, why, and which rules can.

    Args:
        completed: A row a run, none of which has the score that the rule reads.
        rule: One of ``RUN_RULES``.
    """
    datasets = ", ".join(completed["dataset"].unique())
    can = [
        name
        for name, score in RUN_RULES.items()
        if score in completed.columns
        and completed[score].notna().groupby(completed["dataset"]).any().all()
    ]
    ways = ", ".join(name + ORACLE * (name == "oracle") for name in can)
    other = f"Or choose by another rule (--select): {ways}" if can else "No other rule can either"
    return (
        f"The rule {rule} cannot choose: of {len(completed):,} completed runs on {datasets} none "
        f"{LACKING[rule]}. {other}."
    )


def _counts(runs: "pd.DataFrame", candidates: "pd.DataFrame", groups: list[str]) -> "pd.DataFrame":
    """The groups in order of appearance, with how many runs each has of every kind."""
    result = runs[groups].drop_duplicates()
    waiting = runs["status"].isin(["waiting", "running"])
    kinds = {name: runs[runs["status"] == name] for name in ("completed", "diverged", "failed")}
    for name, rows in {**kinds, "waiting": runs[waiting], "n_candidates": candidates}.items():
        grouped = rows.groupby(groups, dropna=False)
        count = grouped.size() if name == "n_candidates" else grouped["run"].nunique()
        result = result.merge(count.rename(name), left_on=groups, right_index=True, how="left")
    return result.fillna(dict.fromkeys(COUNTS, 0)).astype(dict.fromkeys(COUNTS, "int64"))
