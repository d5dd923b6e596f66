"""Which completed runs a figure keeps: all, those above a threshold, or the best few."""

from dataclasses import replace

import pandas as pd

from oodbench.errors import RequestError, check_name

from .panels import Panel

KEEP = ("all", "above", "top")
SCORE = "id_val"
"""What runs are kept by: accuracy on validation examples of the training environments. It reads
neither the test environments nor the examples that the ID accuracy shown is measured on."""


def keep_runs(
    panel: Panel, keep: str = "all", threshold: float | None = None, top: int | None = None
) -> Panel:
    """The panel with the runs kept, and a remark that says which they are.

    Its counts by status stay those of all runs.

    Args:
        panel: Needs the column ``id_val`` unless all are kept.
        keep: ``"all"``; ``"above"``: the runs with ``id_val > threshold``; ``"top"``: of each
            optimizer the ``top`` runs with the highest ``id_val``, of equal ones the smallest run
            id first.
        threshold: Fraction; by default the dataset's chance accuracy. Only with ``"above"``.
        top: By default 10. Only with ``"top"``.

    Raises:
        UnknownNameError: ``keep`` is none of the three.
        RequestError: An option does not go with ``keep`` or is out of range, no run has a
            validation score, or no threshold is given where chance is not known.
    """
    _check(keep, threshold, top)
    if keep == "all":
        return panel
    if SCORE not in panel.runs.columns:
        raise RequestError(
            f"keep={keep!r} needs the column {SCORE}: runs are kept by their ID validation "
            "accuracy. Pass what oodbench.results.query.pairs returns, or keep all."
        )
    score = panel.runs[SCORE]
    if len(score) and score.isna().all():
        raise RequestError(
            f"keep={keep!r} goes by ID validation accuracy, and no run on {panel.dataset} has one. "
            "Keep all."
        )
    kept, remark = _above(panel, threshold) if keep == "above" else _best(panel, top)
    runs = panel.runs[kept].reset_index(drop=True)
    return replace(panel, runs=runs, remarks=(*panel.remarks, remark))


def _above(panel: Panel, threshold: float | None) -> tuple["pd.Series[bool]", str]:
    """Which runs lie above the threshold, and the remark."""
    least = panel.chance if threshold is None else threshold
    if least is None:
        raise RequestError(
            f"keep='above' needs a threshold: chance accuracy of {panel.dataset} is not known. "
            "Give one, such as threshold=0.5."
        )
    what = "chance" if threshold is None else "the threshold"
    remark = f"kept: runs with ID validation accuracy above {what}, {least:.3g}"
    return panel.runs[SCORE] > least, remark


def _best(panel: Panel, top: int | None) -> tuple["pd.Series[bool]", str]:
    """Which runs are an optimizer's best, and the remark."""
    most = 10 if top is None else top
    scored = panel.runs[panel.runs[SCORE].notna()]
    ranked = scored.sort_values([SCORE, "run"], ascending=[False, True])
    best = ranked.groupby("optimizer", sort=False).head(most).index
    remark = f"kept: the {most} runs of each optimizer with the highest ID validation accuracy"
    return panel.runs.index.to_series().isin(best), remark


def _check(keep: str, threshold: float | None, top: int | None) -> None:
    check_name("choice of runs", keep, KEEP)
    for name, value, mine in (("threshold", threshold, "above"), ("top", top, "top")):
        if value is not None and keep != mine:
            raise RequestError(
                f"{name}={value} goes with keep={mine!r} alone, but keep is {keep!r}."
            )
    if threshold is not None and not 0 <= threshold <= 1:
        raise RequestError(f"threshold is a fraction between 0 and 1, but got {threshold}.")
    if top is not None and top < 1:
        raise RequestError(f"top must be at least 1, but got {top}.")
