"""The trials of each optimizer's search as arrays: what budgets and comparisons rest on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodbench.errors import RequestError
from oodbench.results.select import RUN_RULES, drawn

from ..stats.intervals import Array, codes_of, resampled
from .columns import GROUP, rows_of, values_of
from .panels import Panel, panels
from .trials import FINISHED, SCORES, check_trials, of_design, trials_of


@dataclass(frozen=True)
class Trials:
    """The finished trials that one optimizer's search drew, sorted by ``rank``.

    A trial that diverged or failed was spent and is never selected while another was drawn: it
    ranks below all that completed, and in each score has the panel's ``floor``.

    Attributes:
        optimizer: Its name.
        kind: ``adaptive``, ``non-adaptive`` or, where it is not known, empty.
        rank: (N,), ascending: what the selection rule reads; -inf if diverged or failed.
        scores: ``id`` and ``ood`` -> (N,).
        draws: (N,): which draw each trial came from. Repeats of a configuration on other seeds are
            of one draw, and so are the trials of other optimizers that share its training seed.
        cost: Mean gradient evaluations of a trial; NaN where unknown.
        counts: Numbers of runs ``completed``, ``diverged``, ``failed``.
    """

    optimizer: str
    kind: str
    rank: Array
    scores: Mapping[str, Array]
    draws: NDArray[np.int64]
    cost: float
    counts: Mapping[str, int]

    @property
    def configurations(self) -> int:
        """How many there are: repeats on other seeds are no further ones."""
        return len(np.unique(self.draws))


@dataclass(frozen=True)
class Searches:
    """The searches of one panel: dataset, test environments and algorithm.

    Attributes:
        panel: With the counts of all its runs and remarks.
        rule: How a run is selected.
        trials: One an optimizer that has any, in order of first appearance.
        floor: Score -> what a diverged or failed trial has: the lowest of chance accuracy, where
            it is known, and of the scores of the panel's completed runs. Chance alone would reward
            divergence wherever training ends below chance, as under correlation shift.
        left_out: Runs of adaptive searches (they are no independent draws), and completed ones
            that lack a score.
    """

    panel: Panel
    rule: str
    trials: tuple[Trials, ...]
    floor: Mapping[str, float]
    left_out: Mapping[str, int]

    @property
    def key(self) -> dict[str, str]:
        """Dataset, test environments and algorithm, by name."""
        return dict(zip(GROUP, self.panel.key, strict=True))

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Names of those that have trials, in order of first appearance."""
        return tuple(one.optimizer for one in self.trials)

    def of(self, optimizer: str) -> Trials:
        """The trials of one optimizer that has some."""
        return next(one for one in self.trials if one.optimizer == optimizer)

    def at_hand(self) -> dict[str, Array]:
        """Optimizer -> (1, N): each trial once."""
        return {one.optimizer: np.ones((1, len(one.rank))) for one in self.trials}

    def resampled(self, resamples: int, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
        """Optimizer -> (some, N): how often each trial is there in each bootstrap resample.

        Whole draws are resampled, for all optimizers at once: trials of one index share their
        training seed and, under a random search, the quantiles of their hyperparameters. Scores
        of two optimizers may so be correlated, positively or negatively.
        """
        draws = np.concatenate([one.draws for one in self.trials])
        ends = np.cumsum([len(one.rank) for one in self.trials])[:-1]
        for weights in resampled(codes_of(draws, len(draws)), resamples, rng):
            parts = np.split(weights, ends, axis=-1)
            yield {one.optimizer: part for one, part in zip(self.trials, parts, strict=True)}


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
            sampler, config_id, seed, chance, optimizer_kind and gradient_evaluations are used
            where present.
        rule: How a run is selected, one of ``oodbench.results.select.RUN_RULES``.
        dataset, algorithm: Only this one.

    Raises:
        RequestError: No runs, a column is missing, all runs are of adaptive searches, or none has
            the score that the rule reads.
        UnknownNameError: No such rule, dataset or algorithm.
    """
    check_trials(pairs, rule)
    pairs = drawn(pairs)
    by_design = of_design(pairs)
    found = (
        _of_panel(panel, rule, pairs, by_design)
        for panel in panels(pairs[by_design], dataset, algorithm)
    )
    known = tuple(one for one in found if one.trials)
    if not known:
        raise RequestError(
            "No run here has diverged, failed, or completed with both an ID and an OOD score, so "
            "there is nothing to compare. Let workers finish some (oodbench status), on a dataset "
            "with test environments."
        )
    return known


def _of_panel(
    panel: Panel, rule: str, pairs: pd.DataFrame, by_design: "pd.Series[bool]"
) -> Searches:
    every = rows_of(pairs[by_design], *panel.key)
    mine = trials_of(every, rule)
    completed = mine["status"] == "completed"
    chance = [] if panel.chance is None else [panel.chance]
    left_out = {
        "adaptive": len(rows_of(pairs[~by_design], *panel.key)),
        "unscored": int((every["status"] == "completed").sum() - completed.sum()),
    }
    floor = {
        name: min([*mine.loc[completed, name].astype(float), *chance], default=np.nan)
        for name in SCORES
    }
    mine = mine.assign(draw=draw_codes(mine))
    groups = dict(iter(mine.groupby("optimizer", sort=False)))
    names = [name for name in panel.counts.index if name in groups]
    trials = [_trials(groups[name], RUN_RULES[rule], floor) for name in names]
    if left_out["adaptive"]:
        remark = f"left out: {left_out['adaptive']:,} found by an adaptive search"
        panel = replace(panel, remarks=(*panel.remarks, remark))
    return Searches(panel, rule, tuple(trials), floor, left_out)


def _trials(rows: pd.DataFrame, column: str, floor: Mapping[str, float]) -> Trials:
    completed = rows["status"] == "completed"
    rank = rows[column].astype(float).where(completed, -np.inf)
    rows = rows.assign(rank=rank).sort_values("rank", kind="stable")
    completed = rows["status"] == "completed"
    kind, cost = (values_of(rows, name) for name in ("optimizer_kind", "gradient_evaluations"))
    return Trials(
        optimizer=str(rows["optimizer"].iloc[0]),
        kind=str(kind.iloc[0]) if len(kind) else "",
        rank=rows["rank"].to_numpy(dtype=float),
        scores={
            name: np.asarray(rows[name].astype(float).where(completed, floor[name]), dtype=float)
            for name in SCORES
        },
        draws=rows["draw"].to_numpy(dtype=np.int64),
        cost=float(cost.mean()) if len(cost) else np.nan,
        counts={name: int((rows["status"] == name).sum()) for name in FINISHED},
    )


def draw_codes(runs: pd.DataFrame) -> NDArray[np.int64]:
    """Which draw from a search space is behind each run, (n,): 0, 1, ...

    Runs of one configuration are of one draw. The same draw of several optimizers is known by its
    training seed: trial i of each has the same, and under a random search the same quantiles.
    """
    optimizer = runs["optimizer"].astype(str)
    label = optimizer + "/" + runs.get("config_id", runs["run"]).astype(str)
    if "seed" in runs.columns:
        seed = runs["seed"].groupby(label).transform("min")
        # Only one configuration of each optimizer: a seed that all runs have tells nothing apart.
        first = label.groupby([optimizer, seed]).transform("first")
        label = label.where(label != first, seed.astype(str))
    return np.asarray(pd.factorize(label)[0], dtype=np.int64)
