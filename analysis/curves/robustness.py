"""Effective robustness: OOD accuracy beyond what a baseline's curve expects of the ID accuracy.

Taori et al. (2020), "Measuring Robustness to Natural Distribution Shifts in Image Classification",
section 2.2; the baseline's curve is the one of ``analysis.stats.smooth``, on the accuracy axes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..runs.columns import GROUP, require
from ..stats.intervals import UNKNOWN
from ..stats.smooth import Smooth, averaged, estimated
from ..stats.testing import MARGIN, ends_of, judged
from .id_ood_curves import Cloud, clouds_of
from .matching import FEWEST


def effective_robustness(
    pairs: pd.DataFrame,
    baseline: str,
    *,
    baseline_algorithm: str | None = None,
    margin: float = MARGIN,
    dataset: str | None = None,
    algorithm: str | None = None,
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """OOD accuracy above what a baseline's return curve expects of the same ID accuracy.

    The mean over an optimizer's runs of their distance to the curve. Runs whose ID accuracy lies
    outside the central 90% of the baseline's take no part, and are counted: the curve is not
    extended. Unlike in ``ood_at_equal_id`` ID accuracies weigh as often as the optimizer reaches
    them. ID accuracies and intervals are those of ``ood_at_equal_id``.

    Args:
        pairs, dataset, algorithm, predictions, seed: See ``ood_at_equal_id``.
        baseline: An optimizer.
        baseline_algorithm: Whose runs the curve goes through, such as ``erm``. Default: each
            algorithm's own.
        margin: A distance closer to 0 than this is called none; a fraction.

    Returns:
        A row per dataset, test environments, algorithm and optimizer other than the baseline:
        ``baseline`` and ``baseline_algorithm``, ``n`` (runs that take part), ``outside`` (runs
        beyond the baseline's range), ``left_out`` (words), ``n_baseline``, ``id_low``, ``id_high``
        (the baseline's range), ``difference`` with ``low``, ``high`` (95%), ``low90``, ``high90``,
        ``p``, ``p_holm`` (over the optimizers of a panel), ``verdict`` and ``reason``, as for
        ``ood_at_equal_id``; ``not comparable`` where fewer than ten configurations take part, or
        where the baseline's curve does not fit.

    Raises:
        RequestError: No runs, a column is missing, or the baseline has nowhere a curve.
        UnknownNameError: No such optimizer, dataset or algorithm.
    """
    require(pairs)
    check_name("optimizer", baseline, pairs["optimizer"].unique())
    if baseline_algorithm is not None:
        check_name("algorithm", baseline_algorithm, pairs["algorithm"].unique())
    every = [*clouds_of(pairs, dataset, None, predictions, seed)]
    named = ((key, one) for key, clouds in every for one in clouds if one.optimizer == baseline)
    bases = {tuple(key.values()): one for key, one in named}
    rows = []
    for key, clouds in every:
        source = baseline_algorithm or key["algorithm"]
        base = bases.get((key["dataset"], key["test_environments"], source))
        if algorithm in (None, key["algorithm"]) and base and base.curve:
            known = {**key, "baseline": baseline, "baseline_algorithm": source}
            others = [one for one in clouds if one is not base]
            rows += [{**known, **_row(one, base, base.curve)} for one in others]
    if not rows:
        raise RequestError(
            f"The baseline {baseline!r} has no return curve where another optimizer has runs: a "
            "curve needs five configurations that learned. Train more of it."
        )
    return judged(pd.DataFrame(rows), [*GROUP], margin)


def _row(one: Cloud, base: Cloud, curve: Smooth) -> dict[str, Any]:
    low, high = base.range
    inside = one.inside(low, high)
    estimate, p, reason = UNKNOWN, np.nan, base.reason and f"{base.optimizer}: {base.reason}"
    taking_part = one.configurations_in(low, high)
    if taking_part < FEWEST:
        reason = f"{one.optimizer}: {taking_part} configurations in the baseline's range."
    if not reason:
        weights = one.weights * inside
        at = one.expected.values
        at = at if len(at) > 1 else at[0]
        beyond = one.ood - averaged(base.ood_at, at, one.expected.spread)
        # A resample may hold none of the runs that take part.
        difference = (weights * beyond).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        fewest = min(curve.clusters, taking_part + curve.parameters)
        estimate, p = estimated(difference, fewest, curve.parameters, curve.resamples)
    row = {"optimizer": one.optimizer, "n": int(inside.sum()), "outside": int((~inside).sum())}
    row |= {"left_out": one.words, "n_baseline": len(base.id), "id_low": low, "id_high": high}
    return {**row, **ends_of(estimate), "p": p, "reason": reason}
