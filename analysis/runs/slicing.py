"""One hyperparameter against the scores of an optimizer's runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, UnknownNameError, check_name

from ..stats.intervals import Array
from .columns import hyperparameters_of
from .names import pretty
from .panels import Panel, panels

SCALES = ("uniform", "int", "log", "one_minus_log", "choice")
FEWEST = 5
"""A part of a slice with fewer runs has no quartiles."""

ENOUGH = 60
"""Runs that it takes for quartiles along a hyperparameter of many values."""

MOST_VALUES = 12
"""Maximum different values (a grid, a choice) of which each is a part of its own."""


@dataclass(frozen=True)
class Trend:
    """Quartiles of a score along a hyperparameter.

    Attributes:
        x: (parts,): the median of each part, on the axis.
        quartiles: (parts, 3): first quartile, median, third quartile of its runs' scores.
        n: (parts,): its runs.
    """

    x: Array
    quartiles: Array
    n: tuple[int, ...]


@dataclass(frozen=True)
class Slice:
    """The runs of one optimizer along one hyperparameter.

    Attributes:
        optimizer: Name of the optimizer.
        x: (n,): completed runs' values on the axis, see ``on_axis``.
        scores: ``id`` and ``ood``: (n,) each.
        trends: Trends of both; None where there are too few runs.
        diverged, failed: Values of those runs on the axis.
    """

    optimizer: str
    x: Array
    scores: Mapping[str, Array]
    trends: Mapping[str, Trend | None]
    diverged: Array
    failed: Array


@dataclass(frozen=True)
class Slices:
    """One panel's slices.

    Attributes:
        panel: The runs.
        scale: One of ``SCALES``.
        choices: The values of a ``choice``, in the order of the axis; else empty.
        slices: One for each optimizer that has the hyperparameter, unless several runs of it
            all have the same value while those of others differ.
        left_out: Names of the optimizers without a slice.
    """

    panel: Panel
    scale: str
    choices: tuple[str, ...]
    slices: tuple[Slice, ...]
    left_out: tuple[str, ...]


def slices_data(
    pairs: pd.DataFrame,
    hyperparameter: str = "lr",
    dataset: str | None = None,
    algorithm: str | None = None,
    scale: str | None = None,
) -> tuple[Slices, ...]:
    """The numbers of ``slices``; see there for arguments and errors."""
    found = panels(pairs, dataset, algorithm)
    if hyperparameter not in pairs.columns:
        raise UnknownNameError("hyperparameter", hyperparameter, hyperparameters_of(pairs))
    if scale is not None:
        check_name("scale", scale, SCALES)
    made = tuple(one for panel in found if (one := _slices(panel, hyperparameter, scale)))
    if not made:
        raise RequestError(
            f"No run here has a value of {hyperparameter!r}. Choose another hyperparameter, or "
            "runs of an optimizer or algorithm that takes it."
        )
    return made


def fitting_scale(values: Array) -> str:
    """``uniform``, ``log`` or ``one_minus_log``: on which the values are spread most evenly.

    Unevenness is the Kolmogorov-Smirnov distance to a uniform distribution between the smallest
    and the largest value: values drawn from a search range are uniform on the range's own scale.
    Another scale than ``uniform`` must halve it, for over a short range they hardly differ.
    """
    found = {"uniform": _unevenness(values) / 2}
    if (values > 0).all():
        found["log"] = _unevenness(np.log(values))
    if (values < 1).all() and (values >= 0).all():
        found["one_minus_log"] = _unevenness(-np.log1p(-values))
    return min(found, key=lambda scale: found[scale])


def _unevenness(values: Array) -> float:
    span = float(np.ptp(values))
    if not span:
        return 1.0
    even = np.arange(len(values) + 1) / len(values)
    found = np.sort((values - values.min()) / span)
    return float(max((even[1:] - found).max(), (found - even[:-1]).max()))


def on_axis(values: pd.Series, scale: str, choices: tuple[str, ...]) -> Array:
    """Where values stand on the axis: 1 - value for ``one_minus_log``, the place of a choice."""
    if scale == "choice":
        return np.array([choices.index(str(value)) for value in values], dtype=float)
    numbers = values.to_numpy(dtype=float)
    return 1 - numbers if scale == "one_minus_log" else numbers


def trend(x: Array, score: Array) -> Trend | None:
    """Quartiles in parts: each value where there are few, else six to ten of equally many runs.

    None for fewer than ``ENOUGH`` runs: a line through two or three parts hides an arch.
    """
    order = np.argsort(x, kind="stable")
    x, score = x[order], score[order]
    different = np.unique(x)
    if len(different) <= MOST_VALUES:
        parts = [np.flatnonzero(x == value) for value in different]
    elif len(x) < ENOUGH:
        return None
    else:
        parts = np.array_split(np.arange(len(x)), min(10, len(x) // 10))
    parts = [part for part in parts if len(part) >= FEWEST]
    if len(parts) < 2:
        return None
    return Trend(
        np.array([np.median(x[part]) for part in parts]),
        np.array([np.percentile(score[part], [25, 50, 75]) for part in parts]),
        tuple(len(part) for part in parts),
    )


def _slices(panel: Panel, name: str, scale: str | None) -> Slices | None:
    columns = ["optimizer", "status", name]
    every = pd.concat([panel.runs[columns], panel.lost[columns]]).dropna(subset=[name])
    if every.empty:
        return None
    values = every.groupby("optimizer")[name].agg(["nunique", "size"])
    fixed = (values["nunique"] == 1) & (values["size"] > 1)
    searched = set(values.index if fixed.all() else values.index[~fixed])
    shown = every[every["optimizer"].isin(searched)]
    used = _scale(shown[name], scale)
    choices = tuple(sorted({str(value) for value in shown[name]})) if used == "choice" else ()
    order = [str(optimizer) for optimizer in panel.counts.index]
    made = tuple(_slice(panel, o, name, used, choices) for o in order if o in searched)
    left_out = tuple(pretty(o) for o in order if o not in searched)
    return Slices(panel, used, choices, made, left_out)


def _scale(values: pd.Series, asked: str | None) -> str:
    """What was asked for if it can show every value, else what fits."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "choice"
    numbers = values.to_numpy(dtype=float)
    positive = {"log": numbers, "one_minus_log": 1 - numbers}
    shown = asked not in positive or bool((positive[asked] > 0).all())
    return asked if asked and shown else fitting_scale(numbers)


def _slice(panel: Panel, optimizer: str, name: str, scale: str, choices: tuple[str, ...]) -> Slice:
    runs = panel.of(optimizer).dropna(subset=[name])
    x = on_axis(runs[name], scale, choices)
    scores = {score: runs[score].to_numpy(dtype=float) for score in ("id", "ood")}
    lost = panel.lost[panel.lost["optimizer"] == optimizer].dropna(subset=[name])
    ended = {
        status: on_axis(lost.loc[lost["status"] == status, name], scale, choices)
        for status in ("diverged", "failed")
    }
    trends = {score: trend(x, values) for score, values in scores.items()}
    return Slice(optimizer, x, scores, trends, ended["diverged"], ended["failed"])
