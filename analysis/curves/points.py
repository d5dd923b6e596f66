"""The runs that a curve rests on as (ID, OOD) points, and why others are left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oodbench.results.select import drawn

from ..runs.columns import BY, DESIGNS
from ..runs.resampling import ROLES, Resampling
from ..stats.intervals import Array
from .expected_id import BY_HALVES, BY_VALIDATION, halves, measurements

USED = {
    *("run", *BY, "status", "sampler", "protocol", "chance"),
    *(name for score in ("id", "ood", *ROLES) for name in (score, f"n_{score}")),
}
"""Columns that points rest on: a table of runs has five times as many, and groups copy theirs."""

RESAMPLES = 200
"""Resamples of the bootstrap: it gives standard errors."""


@dataclass(frozen=True)
class Points:
    """The runs of one group that have learned, with two measurements of their ID accuracy.

    Attributes:
        runs: Rows of the runs.
        first, second: (1 + resamples, n) ID accuracies, or (1, n); the same one where there is a
            single measurement.
        ood: OOD accuracy, as ``id``.
        weights, draws, left_out: As in ``Cloud``.
        corrected: As in ``analysis.curves.expected_id.ExpectedId``.
        resamples: Resamples of the draws; see ``analysis.stats.smooth.error_of``.
        n_first, n_second, n_ood: (n,) numbers of examples; NaN where unknown.
    """

    runs: pd.DataFrame
    first: Array
    second: Array
    ood: Array
    weights: Array
    draws: NDArray[np.int64]
    left_out: Mapping[str, int]
    corrected: str
    resamples: int
    n_first: Array
    n_second: Array
    n_ood: Array


def with_draws(
    pairs: pd.DataFrame, resampling: Resampling, also: Iterable[str] = ()
) -> pd.DataFrame:
    """What points are made of, and columns ``also``, with the column ``draw`` of each run."""
    first = drawn(pairs)
    draws = pd.Series(-1, index=pairs.index)
    draws.loc[first.index] = resampling.draws_of(first)
    return pairs[[name for name in pairs.columns if name in {*USED, *also}]].assign(draw=draws)


def usable(runs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The runs of one group that a return curve rests on, and why others are left out.

    A run counts if it completed, was drawn from the search space (not a winner's repeat on another
    seed), and was not found by an adaptive search, whose draws crowd where the search went. If
    every run was, they all count: a group is never a mixture of the two.

    Returns:
        The rows, and reason -> number of the others: ``diverged``, ``failed``, ``not finished``,
        ``repeats on other seeds``, ``found by an adaptive search``.
    """
    first = drawn(runs)
    left_out = {"repeats on other seeds": len(runs) - len(first)}
    sampler = first.get("sampler", pd.Series("", first.index))
    adaptive = ~sampler.isin([*DESIGNS, ""]) & sampler.notna()
    if adaptive.any() and not adaptive.all():
        left_out["found by an adaptive search"] = int(adaptive.sum())
        first = first[~adaptive]
    for status in ("diverged", "failed"):
        left_out[status] = int((first["status"] == status).sum())
    left_out["not finished"] = int(first["status"].isin(["waiting", "running"]).sum())
    kept = first[first["status"] == "completed"]
    return kept, {why: count for why, count in left_out.items() if count}


def learned(
    x: Array, scored: NDArray[np.bool_], chance: float | None, n: ArrayLike
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which runs a curve can rest on, and why others cannot: reason -> how many.

    Those with both scores whose ID accuracy exceeds chance, where it is known, by more than 1.96
    standard errors, where the number of examples is known.

    Args:
        x: The ID accuracies that decide.
        scored: Which runs have scores.
        chance: Accuracy of guessing.
        n: ID examples of each; NaN where unknown.
    """
    kept = scored
    if chance is not None:
        error = 1.96 * np.sqrt(chance * (1 - chance) / np.maximum(n, 1))
        kept = scored & (x > chance + np.nan_to_num(error))
    lost = {"without scores": int((~scored).sum()), "at chance": int((scored & ~kept).sum())}
    return kept, lost


def points_of(runs: pd.DataFrame, resampling: Resampling, chance: float | None) -> Points:
    """The runs of one group as points.

    Args:
        runs: Rows of the table of runs of one dataset, test environments and algorithm.
        resampling: Resampling of a table with these runs.
        chance: Accuracy of guessing.
    """
    kept, left_out = usable(runs)
    scored = kept[["id", "ood"]].notna().all(axis=1).to_numpy()
    how = measurements(kept[scored])
    column = "id_val" if how == BY_VALIDATION else "id"
    x = kept[column].to_numpy(dtype=float, na_value=np.nan)
    able, missing = learned(x, scored, chance, _sizes(kept, column))
    kept = kept[able].astype({"id": float, "ood": float})
    weights, scores = _resampled(kept, resampling, [*dict.fromkeys([column, "id", "ood"])])
    first, second = scores[column], scores["id"]
    sizes = [_sizes(kept, name) for name in (column, "id", "ood")]
    if how == BY_HALVES:
        first, second = (half[None] for half in halves(second[0], sizes[1]))
        sizes[:2] = [np.floor(sizes[1] / 2), np.ceil(sizes[1] / 2)]
    lost = {why: count for why, count in {**left_out, **missing}.items() if count}
    draws = resampling.draws_of(kept)
    return Points(
        kept, first, second, scores["ood"], weights, draws, lost, how, resampling.resamples, *sizes
    )


def _sizes(runs: pd.DataFrame, column: str) -> Array:
    """(n,) numbers of examples behind a score; NaN where unknown."""
    known = runs.get(f"n_{column}", pd.Series(np.nan, runs.index))
    return np.asarray(known.to_numpy(dtype=float, na_value=np.nan), dtype=float)


def _resampled(
    runs: pd.DataFrame, resampling: Resampling, columns: Sequence[str]
) -> tuple[Array, dict[str, Array]]:
    """Weights (1 + resamples, n), and scores of that shape, or (1, n) where none is resampled."""
    parts = [*resampling.of(runs, columns)]
    weights = np.concatenate([part.weights for part in parts])
    scores = {}
    for name in columns:
        if all(len(part.scores[name]) == 1 for part in parts):
            scores[name] = parts[0].scores[name]
        else:
            each = [np.broadcast_to(part.scores[name], part.weights.shape) for part in parts]
            scores[name] = np.concatenate(each)
    return weights, scores
