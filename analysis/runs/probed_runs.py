"""A measurement, or a cost, beside the OOD accuracy of the same runs, and how the two correlate."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results.columns import MEASURED, named

from ..stats.rank_correlations import Correlation, Correlations, correlate
from .draws import draw_codes
from .filters import keep_runs
from .panels import Panel, panels
from .path_curves import LEFT_OUT

COSTS = tuple(named(MEASURED))
"""Columns of the runs that stand in for a measurement."""


@dataclass(frozen=True)
class ProbedRuns:
    """The runs of a panel of the figure ``probed``.

    Attributes:
        panel: Its runs are those that were measured, and have the column ``measured``.
        unmeasured: Completed runs that were not, or whose measurement is not finite.
        optimizers: The optimizers of the runs.
        correlations: Correlations of ``measured`` and ``ood``; groups are the optimizers.
    """

    panel: Panel
    unmeasured: int
    optimizers: tuple[str, ...]
    correlations: Correlations

    @property
    def by_optimizer(self) -> dict[str, Correlation]:
        """Optimizer -> its own correlation."""
        return dict(zip(self.optimizers, self.correlations.groups, strict=True))


def probed_data(
    pairs: pd.DataFrame,
    probes: pd.DataFrame,
    measurement: str | None,
    dataset: str | None = None,
    algorithm: str | None = None,
    *,
    keep: str = "all",
    threshold: float | None = None,
    top: int | None = None,
) -> tuple[ProbedRuns, ...]:
    """The numbers of ``probed``; see there for arguments and errors."""
    names = [name for name in probes.columns if name not in ("run", "step")]
    costs = [name for name in COSTS if name in pairs.columns]
    if measurement in costs:
        values = pairs.drop_duplicates("run").set_index("run")[measurement].dropna()
    elif not names or probes.empty:
        raise RequestError(
            "No run was probed here. Measure first: oodbench probe sharpness --db URL, or rsi-eb. "
            f"What needs no probe: {', '.join(costs) or 'nothing here'}."
        )
    elif measurement is None:
        every = ", ".join([*names, *costs])
        raise RequestError(f"Choose a measurement (--measurement). There are: {every}.")
    elif measurement not in names:
        raise UnknownNameError("measurement", measurement, [*names, *costs])
    else:
        values = run_values(probes, measurement)
    kept = [keep_runs(one, keep, threshold, top) for one in panels(pairs, dataset, algorithm)]
    found = [_of(panel, values) for panel in kept]
    if all(one.panel.runs.empty for one in found):
        how = "nobody knows it" if measurement in costs else "oodbench probe measures it"
        raise RequestError(f"None of these runs has {measurement}: {how}.")
    return tuple(one for one in found if not one.panel.runs.empty)


def run_values(probes: pd.DataFrame, measurement: str) -> "pd.Series[float]":
    """Run -> its value: of one that was measured along training, the median over the steps.

    The last ``LEFT_OUT`` of the steps are left out then: there the end point is all there is.
    """
    known = probes[np.isfinite(probes[measurement].astype(float))]
    steps = known.groupby("run")["step"]
    last, single = steps.transform("max"), steps.transform("nunique") == 1
    kept = known[single | (known["step"] <= (1 - LEFT_OUT) * last)]
    return kept.groupby("run")[measurement].median()


def _of(panel: Panel, values: "pd.Series[float]") -> ProbedRuns:
    runs = panel.runs.assign(measured=panel.runs["run"].map(values).astype(float))
    measured = runs["measured"].notna()
    runs = runs[measured].reset_index(drop=True)
    names = [str(name) for name in panel.counts.index if (runs["optimizer"] == name).any()]
    groups = [(runs["optimizer"] == name).to_numpy() for name in names]
    x, y = (runs[name].to_numpy(dtype=float) for name in ("measured", "ood"))
    found = correlate(x, y, groups, draw_codes(runs))
    return ProbedRuns(replace(panel, runs=runs), int((~measured).sum()), tuple(names), found)
