"""What a reader must know about runs that were pooled: settings, searches, missing scores."""

import pandas as pd

from oodbench.records import IMPORTED
from oodbench.results import UNKNOWN

from .columns import DESIGNS, values_of

SETTINGS = ("model", "model_options", "algorithm_options", "dataset_options", "batch")
"""Columns of settings; a missing value means that nothing differs from the defaults."""

MOST = 12
"""Values that a remark lists; imported tables may have thousands of models."""


def frozen_remark(runs: pd.DataFrame) -> str:
    """Which backbones were not trained, but a head on their features; empty if all were."""
    if not {"model", "model_options"} <= set(runs.columns):
        return ""
    kinds = runs[["model", "model_options"]].drop_duplicates().itertuples(index=False)
    frozen = sorted({str(model) for model, options in kinds if '"train":"head"' in str(options)})
    return f"backbone frozen, a head trained: {', '.join(frozen)}" if frozen else ""


def remarks_of(runs: pd.DataFrame, unscored: int) -> tuple[str, ...]:
    """Whatever would mislead if it went unsaid: pooled settings, adaptive search, lost scores."""
    remarks = [
        f"imported from {str(name).removeprefix(IMPORTED)}"
        for name in values_of(runs, "protocol").unique()
        if str(name).startswith(IMPORTED)
    ]
    remarks += [text] if (text := frozen_remark(runs)) else []
    for column in (*SETTINGS, "precision", "steps", "checkpoint", "sampler"):
        known = values_of(runs, column)
        if column in SETTINGS and column in runs.columns:
            known = runs[column].astype(object).fillna("default")
        values = sorted(map(str, known.unique()), key=lambda text: (len(text), text))
        if len(values) > 1:
            names = ", ".join(values) if len(values) <= MOST else f"{len(values):,} of them"
            remarks.append(f"pooled over {column}: {names}")
        elif values and column == "steps":  # algorithms often differ in their budget
            remarks.append(f"{int(float(values[0])):,} steps")
        elif values == [UNKNOWN] or (column == "steps" and column in runs and not values):
            remarks.append(f"{column} not known")
        elif column == "sampler" and not DESIGNS.issuperset(values):
            remarks.append(f"found by an adaptive search: {values[0]}")
    if "subpopulation" in set(values_of(runs, "shift")):
        remarks.append("subpopulation shift: OOD accuracy is that of the worst group")
    scored = runs[runs["id"].notna()]
    if "id_test" in runs.columns and scored["id_test"].isna().any():
        remarks.append("ID scores are of validation examples: there is no ID test split")
    if unscored:
        remarks.append(f"{unscored} completed without an ID or OOD score, not drawn")
    return tuple(remarks)
