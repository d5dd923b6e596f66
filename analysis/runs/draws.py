"""Which draw of a search each run is of: what runs of several optimizers and tasks share."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .columns import GROUP


def draw_codes(runs: pd.DataFrame) -> NDArray[np.int64]:
    """Which draw from a search space is behind each run, (n,): 0, 1, ...

    Runs of one configuration are of one draw. Trial i of every optimizer, on every task and every
    data split, has the same training seed and under a random search the same quantiles: it is one
    draw, known by that seed. Where a seed does not tell the configurations of an optimizer apart,
    such as a seed that all runs have, each configuration is a draw of its own.

    Args:
        runs: Needs run, optimizer; uses dataset, test_environments, algorithm, data_seed,
            config_id and seed where present. The rows of one run, one for each of its targets, are
            of one draw.
    """
    once = runs.drop_duplicates("run")
    if len(once) < len(runs):
        codes = pd.Series(draw_codes(once), once["run"])
        return codes.loc[runs["run"]].to_numpy(dtype=np.int64)
    names = [name for name in (*GROUP, "optimizer", "data_seed") if name in runs.columns]
    cell = runs.groupby(names, sort=False, dropna=False).ngroup().astype(str)
    label = cell + "/" + runs.get("config_id", runs["run"]).astype(str)
    if "seed" in runs.columns:
        seed = runs["seed"].groupby(label).transform("min")
        first = label.groupby([cell, seed]).transform("first")
        label = label.where(
            (label != first).groupby([cell, seed]).transform("any"), seed.astype(str)
        )
    return np.asarray(pd.factorize(label)[0], dtype=np.int64)
