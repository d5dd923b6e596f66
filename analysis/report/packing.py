"""Runs and their learning curves as JSON that a browser reads fast: columns, in base64.

Numbers are exact (float64), so that what a browser computes and downloads is what Python has.
Learning curves are rounded to 1/65534: they are only looked at.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oodbench.results.targets import by_target

from ..runs.columns import hyperparameters_of
from ..runs.learning_curves import keys_of, points_of
from ..runs.probed_runs import COSTS, run_values

TEXTS = (
    *("run", "dataset", "test_environments", "algorithm", "optimizer", "status", "reason"),
    *("model", "sampler", "checkpoint"),
)
SCORES = ("id_val", "id", "n_id", "ood", "n_ood", "chance")
TOP = 65534
"""What an accuracy of 1 is in a packed curve; one more means that there is no score."""

Packed = dict[str, Any]


def script_json(value: Any) -> str:
    """JSON that may stand in a script element, whatever the texts in it are.

    Raises:
        ValueError: For a number that is not finite: JSON has none.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def packed(values: np.ndarray[Any, Any]) -> str:
    """The bytes of an array, little-endian, in base64."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def column(values: pd.Series) -> Packed:
    """A column of texts as numbered levels, or of numbers as they are.

    Returns:
        ``levels`` and ``codes`` (uint16 or uint32), or ``numbers`` (float64, NaN for none).
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return {"numbers": packed(values.to_numpy(dtype=np.float64, na_value=np.nan))}
    texts = values.map(lambda value: "" if pd.isna(value) else str(value))
    codes, levels = pd.factorize(texts)
    size = np.uint16 if len(levels) < 2**16 else np.uint32
    return {"levels": list(map(str, levels)), "codes": packed(codes.astype(size))}


def pack(
    pairs: pd.DataFrame,
    checkpoints: pd.DataFrame | None,
    probes: pd.DataFrame | None,
    environments: pd.DataFrame | None,
) -> Packed:
    """Runs and learning curves; see ``analysis.report_html`` for arguments."""
    measured = _measured(pairs, probes)
    accuracies = _of_runs(pairs, environments)
    columns = {f"accuracy on {name}": values for name, values in accuracies.items()}
    runs = pack_runs(pairs, hyperparameters_of(pairs), {**measured, **columns})
    costs = [name for name in ("steps", *COSTS) if name in runs["columns"]]
    return {
        "runs": runs,
        "learning": pack_curves(pairs, pd.DataFrame() if checkpoints is None else checkpoints),
        "measured": [*costs, *measured],
        "environments": list(columns),
    }


def _measured(pairs: pd.DataFrame, probes: pd.DataFrame | None) -> dict[str, pd.Series]:
    """What probes measured of these runs, a number a run; see ``run_values``."""
    if probes is None or probes.empty:
        return {}
    names = [name for name in probes.columns if name not in ("run", "step")]
    wide = pd.DataFrame({str(name): run_values(probes, str(name)) for name in names})
    return _of_runs(pairs, wide.rename_axis("run").reset_index())


def _of_runs(pairs: pd.DataFrame, table: pd.DataFrame | None) -> dict[str, pd.Series]:
    """The columns of a table by run that these runs have values in, in the order of the runs."""
    if table is None or table.empty:
        return {}
    mine = table.set_index("run").reindex(pairs["run"].to_numpy())
    return {str(name): mine[name] for name in mine if mine[name].notna().any()}


def pack_runs(
    pairs: pd.DataFrame,
    hyperparameters: Sequence[str],
    further: Mapping[str, pd.Series] | None = None,
) -> Packed:
    """The columns of the runs that the browser shows, in the order in which it downloads them.

    Args:
        pairs: A row a run.
        hyperparameters: Names of columns; ones with numbers can be filtered by range.
        further: Name -> numbers of the runs, in the same order.

    Returns:
        ``n``, ``columns`` (name -> ``column``) and ``hyperparameters``.
    """
    costs = [name for name in COSTS if name in pairs and pairs[name].notna().any()]
    names = [name for name in (*TEXTS, "steps", *SCORES) if name in pairs.columns]
    columns = {name: column(pairs[name]) for name in (*names, *costs, *hyperparameters)}
    columns |= {name: column(values) for name, values in (further or {}).items()}
    return {"n": len(pairs), "columns": columns, "hyperparameters": list(hyperparameters)}


def pack_curves(pairs: pd.DataFrame, checkpoints: pd.DataFrame) -> Packed:
    """ID and OOD accuracy along the training of each run.

    Args:
        pairs: The runs, in the order of ``pack_runs``.
        checkpoints: The result of ``oodbench.results.query.checkpoints``; it may hold other runs
            too.

    Returns:
        ``grids``: the different lists of steps; ``grid``: which of them each run has (uint16);
        ``id`` and ``ood``: the values of all runs, one after the other (uint16).
    """
    points = points_of(by_target(checkpoints)) if len(checkpoints) else _NO_POINTS
    keys = keys_of(pairs, points)
    points = pairs[keys].assign(at=np.arange(len(pairs))).merge(points, on=keys)
    points = points.sort_values(["at", "step"], kind="stable")
    grids: dict[tuple[int, ...], int] = {(): 0}
    grid = np.zeros(len(pairs), dtype=np.uint16)
    steps, at = points["step"].to_numpy(dtype=np.int64), points["at"].to_numpy(dtype=np.int64)
    starts = np.flatnonzero(np.diff(at, prepend=-1))
    for start, end in zip(starts, [*starts, len(at)][1:], strict=True):
        mine = tuple(map(int, steps[start:end]))
        grid[at[start]] = grids.setdefault(mine, len(grids))
    scores = {name: packed(_quantised(points[name])) for name in ("id", "ood")}
    return {"grids": list(map(list, grids)), "grid": packed(grid), "top": TOP, **scores}


_NO_POINTS = pd.DataFrame({name: pd.Series(dtype=float) for name in ("run", "step", "id", "ood")})


def _quantised(values: pd.Series) -> np.ndarray[Any, Any]:
    numbers = values.to_numpy(dtype=float)
    known = np.isfinite(numbers)
    rounded = np.rint(np.clip(np.where(known, numbers, 0), 0, 1) * TOP)
    return np.where(known, rounded, TOP + 1).astype(np.uint16)
