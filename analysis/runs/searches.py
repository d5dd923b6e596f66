"""The trials of each optimizer's search: what budgets and comparisons rest on."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError
from oodbench.results.select import drawn

from .columns import GROUP, values_of
from .draws import draw_codes
from .panels import Panel, panel_of, rows_by_panel
from .trials import FINISHED, check_trials, of_design, trials_of

NO_MODEL = 0.0
"""The score of a search whose trials all diverged or failed: there is no model, so none is right.

No other run decides it, and it never rewards divergence, as chance would where training ends below
chance (under correlation shift)."""


@dataclass(frozen=True)
class Trials:
    """The finished trials that one optimizer's search drew.

    A trial that diverged or failed was spent and is never selected while another was drawn.

    Attributes:
        optimizer: Name of the optimizer.
        kind: ``adaptive``, ``non-adaptive`` or, where it is not known, empty.
        runs: Their rows of the table, with the column ``draw``. Repeats of a configuration on other
            seeds are of one draw, and so are the trials of other optimizers that share its training
            seed.
        costs: Mean gradient evaluations and seconds of a trial; NaN where unknown.
        counts: Numbers of runs ``completed``, ``diverged``, ``failed``.
    """

    optimizer: str
    kind: str
    runs: pd.DataFrame
    costs: Mapping[str, float]
    counts: Mapping[str, int]

    @cached_property
    def splits(self) -> tuple[int, ...]:
        """Data seeds: on each split of the data the same draws were trained."""
        return tuple(map(int, pd.unique(splits_of(self.runs))))


def splits_of(runs: pd.DataFrame) -> pd.Series:
    """The data seed of each run; 0 where the table has none."""
    seeds = runs.get("data_seed", pd.Series(0, index=runs.index))
    return seeds.fillna(0).astype(np.int64)


@dataclass(frozen=True)
class Searches:
    """The searches of one panel: dataset, test environments and algorithm.

    Attributes:
        panel: Panel with the counts of all its runs and remarks.
        rule: How a run is selected.
        trials: One an optimizer that has any, in order of first appearance.
        left_out: Runs of adaptive searches (they are no independent draws), and completed ones
            that lack a score.
    """

    panel: Panel
    rule: str
    trials: tuple[Trials, ...]
    left_out: Mapping[str, int]

    @property
    def key(self) -> dict[str, str]:
        """Dataset, test environments and algorithm, by name."""
        return dict(zip(GROUP, self.panel.key, strict=True))

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Names of those that have trials, in order of first appearance."""
        return tuple(one.optimizer for one in self.trials)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The trials of all optimizers, one after the other."""
        return pd.concat([one.runs for one in self.trials], ignore_index=True)

    @cached_property
    def places(self) -> Mapping[str, Mapping[int, NDArray[np.int64]]]:
        """Optimizer -> data seed -> which of ``runs`` are its trials there."""
        found, start = {}, 0
        for one in self.trials:
            seeds = splits_of(one.runs).to_numpy()
            found[one.optimizer] = {s: start + np.flatnonzero(seeds == s) for s in one.splits}
            start += len(seeds)
        return found

    def of(self, optimizer: str) -> Trials:
        """The trials of one optimizer that has some."""
        return next(one for one in self.trials if one.optimizer == optimizer)


def searches(
    pairs: pd.DataFrame,
    rule: str = "id_val",
    dataset: str | None = None,
    algorithm: str | None = None,
) -> tuple[Searches, ...]:
    """The searches of every panel that has a trial, in the order of ``panels``; see ``trials_of``.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id, ood and what the rule reads.
            sampler, config_id, seed, data_seed, chance, optimizer_kind, gradient_evaluations and
            seconds are used where present.
        rule: How a run is selected, one of ``oodbench.results.select.RUN_RULES``.
        dataset, algorithm: Only this one.

    Raises:
        RequestError: No runs, a column is missing, all runs are of adaptive searches, or none has
            the score that the rule reads.
        UnknownNameError: No such rule, dataset or algorithm.
    """
    check_trials(pairs, rule)
    pairs = drawn(pairs)
    pairs = pairs.assign(draw=draw_codes(pairs))
    by_design = of_design(pairs)
    by_panel = rows_by_panel(pairs[by_design], dataset, algorithm)
    others = pairs[~by_design]
    adaptive = Counter(zip(*(others[name].astype(str) for name in GROUP), strict=True))
    found = (_of_panel(key, rows, rule, adaptive[key]) for key, rows in by_panel.items())
    known = tuple(one for one in found if one.trials)
    if not known:
        raise RequestError(
            "No run here has diverged, failed, or completed with both an ID and an OOD score, so "
            "there is nothing to compare. Let workers finish some (oodbench status), on a dataset "
            "with test environments."
        )
    return known


def _of_panel(key: tuple[str, str, str], every: pd.DataFrame, rule: str, adaptive: int) -> Searches:
    panel, mine = panel_of(key, every), trials_of(every, rule)
    completed = mine["status"] == "completed"
    left_out = {
        "adaptive": adaptive,
        "unscored": int((every["status"] == "completed").sum() - completed.sum()),
    }
    groups = dict(iter(mine.groupby("optimizer", sort=False)))
    trials = [_trials(groups[name]) for name in panel.counts.index if name in groups]
    if left_out["adaptive"]:
        remark = f"left out: {left_out['adaptive']:,} found by an adaptive search"
        panel = replace(panel, remarks=(*panel.remarks, remark))
    return Searches(panel, rule, tuple(trials), left_out)


def _trials(runs: pd.DataFrame) -> Trials:
    kind = values_of(runs, "optimizer_kind")
    costs = {name: values_of(runs, name) for name in ("gradient_evaluations", "seconds")}
    return Trials(
        optimizer=str(runs["optimizer"].iloc[0]),
        kind=str(kind.iloc[0]) if len(kind) else "",
        runs=runs,
        costs={name: float(c.mean()) if len(c) else np.nan for name, c in costs.items()},
        counts={name: int((runs["status"] == name).sum()) for name in FINISHED},
    )
