"""Accuracy along training: medians and quartiles over an optimizer's runs, or chosen runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.targets import TARGET, by_target

from ..stats.intervals import Array
from .panels import Panel, panels

SCORES = {"id": "ID accuracy", "ood": "OOD accuracy"}
FEWEST = 5
"""A step with fewer runs has a median, but no quartiles to speak of."""


@dataclass(frozen=True)
class Curve:
    """One score along training.

    Attributes:
        optimizer: Whose.
        run: The chosen run's id; empty for the median over all.
        status: Status of the chosen run; ``completed`` for the median.
        steps: (points,): the steps at which it was measured.
        quartiles: (points, 3): first quartile, median, third quartile over the runs measured
            there; NaN but for the median below ``FEWEST`` runs.
        n: (points,): how many runs that is.
    """

    optimizer: str
    run: str
    status: str
    steps: Array
    quartiles: Array
    n: tuple[int, ...]


@dataclass(frozen=True)
class Learning:
    """One panel's curves: score (``id``, ``ood``) -> curves, optimizers in the panel's order."""

    panel: Panel
    curves: Mapping[str, tuple[Curve, ...]]


def learning_data(
    pairs: pd.DataFrame,
    checkpoints: pd.DataFrame,
    runs: Sequence[str] = (),
    dataset: str | None = None,
    algorithm: str | None = None,
) -> tuple[Learning, ...]:
    """The numbers of ``learning``; see there for arguments and errors."""
    missing = {"run", "step", "ood_test"} - set(checkpoints.columns)
    if missing or checkpoints.empty:
        raise RequestError(
            "There are no checkpoints to draw here. Pass what "
            "oodbench.results.query.checkpoints returns, of runs that were trained."
        )
    points = points_of(by_target(checkpoints))
    found = panels(pairs, dataset, algorithm)
    if not runs:
        return tuple(
            Learning(panel, {score: medians(panel, points, score) for score in SCORES})
            for panel in found
        )
    chosen = _chosen(found, runs)
    made = (Learning(panel, _singles(panel, points, chosen)) for panel in found)
    return tuple(one for one in made if any(one.curves.values()))


def points_of(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """run, step, id, ood: ID is on test examples, or on validation ones where a run has no other.

    A score that was not finite stays missing. ``target`` is there if the checkpoints have it.
    """
    table = pd.DataFrame({"run": checkpoints["run"], "step": checkpoints["step"].astype(float)})
    if TARGET in checkpoints.columns:
        table[TARGET] = checkpoints[TARGET]
    table["ood"] = checkpoints["ood_test"].astype(float)
    scores = [name for name in ("id_test", "id_val") if name in checkpoints.columns]
    table["id"] = checkpoints[scores[0]].astype(float) if scores else np.nan
    if scores == ["id_test", "id_val"]:
        measured = checkpoints.get("n_id_test", checkpoints["id_test"]).notna()
        table["id"] = table["id"].where(measured, checkpoints["id_val"].astype(float))
    return table.sort_values("step", kind="stable")


def _chosen(found: Sequence[Panel], runs: Sequence[str]) -> frozenset[str]:
    """Full ids of the runs whose ids begin so."""
    known = {str(run) for one in found for part in (one.runs, one.lost) for run in part["run"]}
    chosen = set()
    for start in runs:
        mine = [run for run in known if run.startswith(start)]
        if len(mine) != 1:
            raise RequestError(
                f"{'No finished run' if not mine else f'{len(mine)} runs'} of this table "
                f"{'begins' if not mine else 'begin'} with {start!r}. Give more of a run's id; "
                "oodbench query lists them."
            )
        chosen.add(mine[0])
    return frozenset(chosen)


def medians(panel: Panel, points: pd.DataFrame, score: str) -> tuple[Curve, ...]:
    """The curve of each optimizer over its completed runs that have points."""
    keys = keys_of(panel.runs, points)
    mine = panel.runs[[*keys, "optimizer"]].merge(points, on=keys, sort=False)
    of = dict(iter(mine.groupby("optimizer", sort=False)))
    names = (str(name) for name in panel.counts.index if name in of)
    return tuple(curve_of(name, "", "completed", of[name], score) for name in names)


def _singles(
    panel: Panel, points: pd.DataFrame, chosen: frozenset[str]
) -> dict[str, tuple[Curve, ...]]:
    keys = keys_of(panel.runs, points)
    columns = [*keys, "optimizer", "status"]
    every = pd.concat([panel.runs[columns], panel.lost[columns]], ignore_index=True)
    rows = every[every["run"].isin(chosen)]
    wanted = [
        (row["optimizer"], row["run"], row["status"], rows.loc[[i], keys].merge(points, on=keys))
        for i, row in rows.iterrows()
    ]
    return {score: tuple(curve_of(*row, score) for row in wanted) for score in SCORES}


def keys_of(runs: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """The columns that tell which points are a run's: its id, and the target where both have it."""
    return ["run", *([TARGET] if TARGET in runs and TARGET in points else [])]


def curve_of(optimizer: str, run: str, status: str, points: pd.DataFrame, score: str) -> Curve:
    groups = points.dropna(subset=[score]).groupby("step")[score]
    n = groups.size()
    quartiles = np.stack([groups.quantile(q).to_numpy(dtype=float) for q in (0.25, 0.5, 0.75)], 1)
    quartiles[n.to_numpy() < FEWEST, ::2] = np.nan
    steps = n.index.to_numpy(dtype=float)
    return Curve(optimizer, run, status, steps, quartiles, tuple(n.tolist()))
