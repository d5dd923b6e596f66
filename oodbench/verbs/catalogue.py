"""What there is to choose from, as rows of plain values."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from oodbench.algorithms import ALGORITHMS
from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import RequestError, UnknownNameError
from oodbench.models import MODELS, ModelSpec
from oodbench.models.timm_names import FAMILY, search
from oodbench.optimizers import OPTIMIZERS, OptimizerSpec
from oodbench.spaces import Range, Space

Row = dict[str, Any]
MOST = 24
"""Environments of a dataset that are listed one by one."""


def space_text(space: Space) -> str:
    """The search space as text, such as ``lr: log 0.001 to 1, weight_decay: log 1e-06 to 0.01``."""
    return ", ".join(
        f"{name}: {what.scale} {what.low:g} to {what.high:g}"
        if isinstance(what, Range)
        else f"{name}: {' | '.join(map(str, what.values))}"
        for name, what in space.items()
    )


def options_text(options: Iterable[tuple[str, Any]]) -> str:
    """The options as text, such as ``width: 64, depth: 2``; the first value is the default."""
    return ", ".join(
        f"{name}: {' | '.join(map(str, value)) if isinstance(value, tuple) else _told(value)}"
        for name, value in options
    )


def _told(value: Any) -> Any:
    return "none" if value == "" else value


def _few(names: Sequence[str]) -> str:
    """The names, or the first and the last of many."""
    return ", ".join(names if len(names) <= MOST else [*names[:6], "...", names[-1]])


def _environments_text(spec: DatasetSpec) -> str:
    """Each with its index, the first and the last of many; or where they are known from."""
    if listed := [f"{i}: {name}" for i, name in enumerate(spec.environments)]:
        return _few(listed)
    if not spec.published:
        return "those of its files"
    return f"by {spec.options.get('environments', 'its own')}; published splits"


def datasets() -> list[Row]:
    """A row for each dataset: its name and its properties."""
    return [
        {
            "name": spec.name,
            "environments": _environments_text(spec),
            "targets": _few([spec.environments[i] for i in spec.targets]),
            "classes": spec.num_classes or "",
            "shift": spec.shift or "not known",
            "metric": spec.metric,
            "options": options_text(spec.options.items()),
            "summary": spec.summary,
            "layout": spec.layout,
            "licence": spec.licence,
            "citation": spec.citation,
        }
        for spec in DATASETS
    ]


def algorithms() -> list[Row]:
    """A row for each algorithm: its name and its properties."""
    return [
        {
            "name": spec.name,
            "space": space_text(spec.space),
            "options": options_text(spec.options.items()),
            "summary": spec.summary,
            "reference": spec.reference,
        }
        for spec in ALGORITHMS
    ]


def optimizer(spec: OptimizerSpec) -> Row:
    """The row of one optimizer."""
    return {
        "name": spec.name,
        "kind": spec.kind,
        "space": space_text(spec.space),
        "gradients a step": spec.evaluations,
        "needs": spec.package or "torch",
        "reference": spec.reference,
    }


def models() -> list[Row]:
    """One row a model, and one for all of timm's."""
    return [model(spec) for spec in [*MODELS, FAMILY]]


def model(spec: ModelSpec) -> Row:
    """The row of one model."""
    options = options_text(spec.options.items())
    return {"name": spec.name, "options": options, "summary": spec.summary}


def models_like(name: str) -> list[Row]:
    """The model of this name, with all that is known of it; else those with this in their names.

    Raises:
        UnknownNameError: If there is none.
    """
    try:
        spec = MODELS.get(name)
    except RequestError:
        found = [model(spec) for spec in [*(s for s in MODELS if name in s.name), *search(name)]]
        if not found:
            raise
        return found
    return [{**model(spec), **spec.facts(), "reference": spec.reference}]


ROWS: dict[str, Callable[[], list[Row]]] = {
    "datasets": datasets,
    "algorithms": algorithms,
    "optimizers": lambda: [optimizer(spec) for spec in OPTIMIZERS],
    "models": models,
}


def catalogue(kind: str, name: str | None = None) -> pd.DataFrame:
    """What there is to choose from.

    Args:
        kind: ``datasets``, ``algorithms``, ``optimizers`` or ``models``.
        name: Only this one; it may be an optimizer of pytorch-optimizer or a model of timm, which
            are not listed. Of models it may be a part of several names.

    Raises:
        UnknownNameError: If there is none of that kind or name.
        RequestError: If it is known why there is none.
    """
    if kind not in ROWS:
        raise UnknownNameError("catalogue", kind, ROWS)
    if name is not None and kind == "optimizers":
        return pd.DataFrame([optimizer(OPTIMIZERS.get(name))])
    if name is not None and kind == "models":
        return pd.DataFrame(models_like(name))
    if name is not None and kind == "datasets":
        DATASETS.get(name)
    table = pd.DataFrame(ROWS[kind]())
    if name is not None and name not in set(table["name"]):
        raise UnknownNameError(kind.removesuffix("s"), name, table["name"])
    return table if name is None else table[table["name"] == name]
