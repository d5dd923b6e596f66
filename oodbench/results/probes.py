"""Measurements that probes made of runs that were stored before, and reading them back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from oodbench.metrics import GROUP, OFFICIAL, OURS, WORST
from oodbench.records import Measurement
from oodbench.results.connection.database import Database
from oodbench.results.measurements import curves, drop_curves, put_curves
from oodbench.results.store import curve_row

if TYPE_CHECKING:
    import pandas as pd

TRAINED = ("loss", *OURS, *OFFICIAL, WORST, GROUP)
"""What training itself measures; all else is a probe's."""


def store_probes(db: Database, found: Mapping[str, Sequence[Measurement]]) -> None:
    """Store what a probe measured, in place of what it measured before, in one transaction.

    Args:
        found: Run -> its measurements, of other metrics than ``TRAINED``.

    Raises:
        ValueError: If a metric is one of training's.
    """
    with db.write() as connection:
        for run, items in found.items():
            metrics = {item.metric for item in items}
            if metrics & set(TRAINED):
                raise ValueError(f"{sorted(metrics & set(TRAINED))} are no probe's to measure.")
            drop_curves(connection, [run], metrics)
            put_curves(connection, [curve_row(run, item) for item in items])


def probed(db: Database, metrics: str = "") -> "pd.DataFrame":
    """What probes measured: a row for each run and step, a column for each metric.

    Args:
        metrics: Only those that begin so: ``path_``, ``sharpness_``.

    Returns:
        ``run``, ``step`` and the metrics; values that are not finite are NaN.
    """
    from oodbench.results.frames import frame_of

    c = curves.c
    wanted = c.metric.not_in(TRAINED) & c.metric.startswith(metrics, autoescape=True)
    statement = select(c.run_id.label("run"), c.step, c.metric, c.value).where(wanted)
    with db.read() as connection:
        frame = frame_of(connection.execute(statement), ["value"])
    wide = frame.pivot(index=["run", "step"], columns="metric", values="value")
    return wide.rename_axis(columns=None).reset_index()
