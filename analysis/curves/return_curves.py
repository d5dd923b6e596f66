"""The return curve of every optimizer of a results table, and which runs it rests on."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.select import drawn

from ..runs.columns import BY, DESIGNS, in_first_appearance, require, values_of
from .fitting import FitSettings, fit_return_curve
from .verdicts import ReturnCurve

Key = tuple[str, ...]
"""Dataset, test environments, algorithm and optimizer."""


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


def return_curves(
    pairs: pd.DataFrame, by: Sequence[str] = BY, **settings: Unpack[FitSettings]
) -> dict[Key, ReturnCurve]:
    """Fit a return curve to the runs of every optimizer on every dataset, with every algorithm.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id and ood. config_id, chance, n_id,
            n_ood and sampler are used where present.
        by: What tells one curve from another. Datasets, test environments and algorithms are never
            pooled; without ``optimizer`` all optimizers share a curve.
        settings: Of ``fit_return_curve``: thresholds, resamples, seed, scales.

    Returns:
        Values of ``by`` -> curve, in order of first appearance. ``left_out`` counts every run of
        the group that is not in its curve.

    Raises:
        RequestError: No runs, a column is missing, or ``by`` would pool datasets.
    """
    require(pairs, ("id", "ood"))
    pooled = [name for name in BY[:3] if name not in by]
    if pooled:
        raise RequestError(
            f"A return curve never pools different values of {', '.join(pooled)}: between datasets "
            "a line appears that no dataset shows. Name them all in by."
        )
    keys = in_first_appearance(pairs[list(BY)].drop_duplicates(list(by)), pairs)[list(by)]
    groups = {tuple(map(str, key)): rows for key, rows in pairs.groupby(list(by), sort=False)}
    ordered = (tuple(map(str, key)) for key in keys.itertuples(index=False))
    return {key: _curve(groups[key], settings) for key in ordered}


def _curve(runs: pd.DataFrame, settings: FitSettings) -> ReturnCurve:
    kept, left_out = usable(runs)
    known: dict[str, Any] = {
        name: kept[name].to_numpy(dtype=float)
        for name in ("n_id", "n_ood")
        if name in kept.columns and kept[name].notna().all() and len(kept)
    }
    chance = values_of(kept, "chance")
    return fit_return_curve(
        kept["id"],
        kept["ood"],
        configurations=kept.get("config_id"),
        chance=float(chance.iloc[0]) if len(chance) else None,
        left_out=left_out,
        **known,
        **settings,
    )


def return_table(curves: Mapping[Key, ReturnCurve]) -> pd.DataFrame:
    """One row a curve: its verdict and the numbers that it rests on.

    Args:
        curves: As from ``return_curves`` over optimizers.

    Returns:
        Columns: dataset, test_environments, algorithm, optimizer, ``verdict``, ``n``,
        ``configurations``, ``left_out`` (words), ``change`` with ``change_low`` and
        ``change_high`` (95%), ``slope`` likewise, ``lower_slope``, ``upper_slope``, ``id_low``,
        ``id_high`` (the percentiles between which they are measured), ``logit``, ``probit``
        (verdicts on those axes) and ``logit_n``, ``probit_n`` (runs there: those at 0 or 1 may be
        missing), ``reliability``, ``reason``.
    """
    rows = []
    for key, curve in curves.items():
        shape = curve.shapes["accuracy"]
        row: dict[str, Any] = dict(zip(BY, key, strict=False))
        row |= {"verdict": curve.verdict, "n": curve.n, "configurations": curve.configurations}
        row["left_out"] = ", ".join(f"{count} {why}" for why, count in curve.left_out.items())
        for name in ("change", "slope"):
            row |= getattr(shape, name).columns(name)
        row |= {"lower_slope": shape.lower_slope.value, "upper_slope": shape.upper_slope.value}
        row["id_low"], row["id_high"] = curve.percentiles
        for name, other in curve.shapes.items():
            if name != "accuracy":
                row |= {name: other.verdict, f"{name}_n": other.n}
        reliability = np.nan if curve.reliability is None else curve.reliability
        row |= {"reliability": reliability, "reason": curve.reason}
        rows.append(row)
    return pd.DataFrame(rows)
