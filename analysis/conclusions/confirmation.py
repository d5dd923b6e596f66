"""Winners that were trained again on fresh seeds: what a search alone cannot show."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from oodbench.results.select import confirmed

from ..runs.columns import BY, count_statuses, in_first_appearance, require


def confirmation_table(pairs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """How each configuration that was confirmed scores on average over fresh training seeds.

    The best run of a search was lucky in part; its repeats were chosen before they were trained, so
    their mean is no such choice. The interval (Student's t over seeds) is over initialisation and
    batch order. It does not cover another search, another split or other test examples.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs ``sampler`` and
            ``config_id`` besides the columns of ``optimizer_table``.
        confidence: Nominal coverage.

    Returns:
        A row per configuration that was confirmed (dataset, test environments, algorithm,
        optimizer, ``config_id``), in order of first appearance: ``completed``, ``diverged``,
        ``failed``, ``id``, ``id_low``, ``id_high``, ``ood``, ``ood_low``, ``ood_high``: means over
        the completed seeds, fractions; the ends are missing where fewer than two completed. No rows
        if nothing was confirmed.

    Raises:
        RequestError: No runs, or a column is missing.
    """
    require(pairs, ("id", "ood", "sampler", "config_id"))
    again = confirmed(pairs)
    by = [*BY, "config_id"]
    table = count_statuses(again, by).reset_index().drop(columns="pending")
    for score in ("id", "ood"):
        scored = again[again["status"] == "completed"].groupby(by, sort=False)[score]
        rows = scored.agg(["mean", "std", "count"]).reset_index()
        t = stdtrit((rows["count"] - 1).clip(lower=1), 0.5 + confidence / 2)
        half = np.where(rows["count"] > 1, t * rows["std"] / np.sqrt(rows["count"]), np.nan)
        ends = {f"{score}_low": rows["mean"] - half, f"{score}_high": rows["mean"] + half}
        rows = rows[by].assign(**{score: rows["mean"]}, **ends)
        table = table.merge(rows, on=by, how="left")
    return in_first_appearance(table, pairs)
