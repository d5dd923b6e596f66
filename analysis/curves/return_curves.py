"""The return curve of every optimizer of a results table, and which runs it rests on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import pandas as pd

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions

from ..runs.columns import BY, in_first_appearance, require, values_of
from ..runs.resampling import Resampling
from .fitting import Fit, FitSettings, judged_curve
from .id_ood_curves import Cloud, cloud
from .points import with_draws
from .verdicts import ReturnCurve

Key = tuple[str, ...]
"""Dataset, test environments, algorithm and optimizer."""


def return_curves(
    pairs: pd.DataFrame,
    by: Sequence[str] = BY,
    predictions: Sequence[Predictions] = (),
    **settings: Unpack[FitSettings],
) -> dict[Key, ReturnCurve]:
    """Fit a return curve to the runs of every optimizer on every dataset, with every algorithm.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id and ood. config_id, seed, chance,
            id_val, n_id_val, n_id and sampler are used where present.
        by: Columns that identify a curve. Datasets, test environments and algorithms are never
            pooled; without ``optimizer`` all optimizers share a curve.
        predictions: Predictions of these runs, as from ``oodbench.predictions``: where they are
            known, test examples are resampled too.
        settings: Settings of ``fit_return_curve``: sizes, resamples, seed, scales.

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
    fit = Fit.of(settings)
    resampling = Resampling(pairs, predictions, fit.resamples, fit.seed)
    pairs = with_draws(pairs, resampling, by)
    keys = in_first_appearance(pairs[list(BY)].drop_duplicates(list(by)), pairs)[list(by)]
    groups = {tuple(map(str, key)): rows for key, rows in pairs.groupby(list(by), sort=False)}
    ordered = (tuple(map(str, key)) for key in keys.itertuples(index=False))
    return {key: _curve(groups[key], resampling, fit) for key in ordered}


def curves_of(
    found: Iterable[tuple[dict[str, str], list[Cloud]]], fit: Fit
) -> dict[Key, ReturnCurve]:
    """``return_curves`` of the clouds of every panel, as from ``clouds_of``."""
    return {
        (*panel.values(), one.optimizer): judged_curve(one, fit)
        for panel, clouds in found
        for one in clouds
    }


def _curve(runs: pd.DataFrame, resampling: Resampling, fit: Fit) -> ReturnCurve:
    chance = values_of(runs, "chance")
    known = float(chance.iloc[0]) if len(chance) else None
    return judged_curve(cloud(runs, resampling, chance=known), fit)


def return_table(curves: Mapping[Key, ReturnCurve]) -> pd.DataFrame:
    """One row a curve: its verdict and the numbers that it rests on.

    Args:
        curves: The result of ``return_curves`` over optimizers.

    Returns:
        Columns: dataset, test_environments, algorithm, optimizer, ``verdict``, ``n``,
        ``configurations``, ``left_out`` (words), ``bend`` with ``bend_low`` and ``bend_high``
        (95%), ``gain`` and ``slope`` with theirs, ``id_low``, ``id_high`` (the percentiles between
        which they are measured), ``logit``, ``probit`` (verdicts on those axes), ``corrected``,
        ``reliability``, ``reason``.
    """
    rows = []
    for key, curve in curves.items():
        row: dict[str, Any] = dict(zip(BY, key, strict=False))
        row |= {"verdict": curve.verdict, "n": curve.n, "configurations": curve.configurations}
        row["left_out"] = ", ".join(f"{count} {why}" for why, count in curve.left_out.items())
        for name in ("bend", "gain", "slope"):
            row |= getattr(curve, name).columns(name)
        row["id_low"], row["id_high"] = curve.percentiles
        row |= {name: one.verdict for name, one in curve.shapes.items() if name != "accuracy"}
        row |= {"corrected": curve.corrected, "reliability": curve.reliability}
        row["reason"] = curve.reason
        rows.append(row)
    return pd.DataFrame(rows)
