"""RSI, EB, gamma and the implied learning rate along training: medians and quartiles."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from oodbench.errors import RequestError

from .learning_curves import Curve, medians
from .panels import Panel, panels

QUANTITIES = {"rsi": "RSI", "eb": "EB", "gamma": "gamma", "best_lr": "best lr"}
"""Quantities along a path -> their names in figures."""
NULL = "gamma_null"
"""What gamma would be if the gradients were noise: of paths to a run's own end."""
LEFT_OUT = 0.05
"""Share of the steps, the last ones, that is not drawn: there the end point is all there is."""
WINDOWS = 20
"""Windows of steps; a run's median in each is drawn, as single steps are mostly noise."""


@dataclass(frozen=True)
class Paths:
    """One panel's curves.

    Attributes:
        panel: Panel of the runs that were probed.
        curves: One of ``QUANTITIES`` -> one curve an optimizer, also for ``NULL`` where it was
            measured.
        probed: How many runs of the panel were.
    """

    panel: Panel
    curves: Mapping[str, tuple[Curve, ...]]
    probed: int


def path_data(
    pairs: pd.DataFrame,
    probes: pd.DataFrame,
    dataset: str | None = None,
    algorithm: str | None = None,
    *,
    end: str = "own",
    full: bool = False,
) -> tuple[Paths, ...]:
    """The numbers of ``paths``; see there for arguments and errors."""
    prefix = prefix_of(probes, end)
    columns = {f"{prefix}{'full_' if full else ''}{name}": name for name in QUANTITIES}
    missing = {"run", "step", *columns} - set(probes.columns)
    if missing or probes.empty:
        more = f" --end {end}" * (end != "own") + " --full-every 10" * full
        raise RequestError(
            "No run was probed for this path here. Measure first: oodbench probe rsi-eb --db URL"
            f"{more}."
        )
    if not full and f"{prefix}{NULL}" in probes:
        columns[f"{prefix}{NULL}"] = NULL
    chosen = probes[["run", "step", *columns]].rename(columns=columns)
    chosen = chosen[chosen[list(QUANTITIES)].notna().any(axis=1)]
    last = chosen.groupby("run")["step"].transform("max")
    points = in_windows(chosen[chosen["step"] <= (1 - LEFT_OUT) * last])
    mine = pairs[pairs["run"].isin(points["run"])]
    if mine.empty:
        raise RequestError("None of these runs was probed for this path: oodbench probe rsi-eb.")
    return tuple(_of(panel, points) for panel in panels(mine, dataset, algorithm))


def prefix_of(probes: pd.DataFrame, end: str) -> str:
    """How the columns of paths to this end point begin.

    Raises:
        RequestError: If several runs that were end points begin so.
    """
    if end in ("own", "seed"):
        return {"own": "path_", "seed": "path_seed_"}[end]
    runs = {name.split("_")[2] for name in probes.columns if name.startswith("path_to_")}
    mine = sorted(run for run in runs if run.startswith(end[:10]))
    if len(mine) > 1:
        raise RequestError(
            f"Several end points begin with {end!r}: {', '.join(mine)}. Give more of the run's id."
        )
    return f"path_to_{mine[0] if mine else end}_"


def in_windows(points: pd.DataFrame) -> pd.DataFrame:
    """The median of each run in each of ``WINDOWS`` windows of its steps; ``step`` is a window's
    middle."""
    ends = points.groupby("run")["step"].transform("max") + 1
    share = (points["step"] * WINDOWS // ends + 0.5) / WINDOWS
    medians = points.drop(columns="step").groupby(["run", share * ends]).median()
    return medians.rename_axis(index=["run", "step"]).reset_index()


def _of(panel: Panel, points: pd.DataFrame) -> Paths:
    mine = points[points["run"].isin(panel.runs["run"])]
    names = [*QUANTITIES, *([NULL] if NULL in mine and mine[NULL].notna().any() else [])]
    curves = {name: medians(panel, points, name) for name in names}
    return Paths(panel, curves, int(mine["run"].nunique()))
